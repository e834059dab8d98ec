"""``bachbox status``: show what the running box plays."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from appliance.cli.options import json_option

if TYPE_CHECKING:
    from appliance.state.box_status import Status


@click.command()
@json_option
@click.option(
    "--follow", is_flag=True, help="Print again whenever something changes, until Ctrl-C."
)
def status(as_json: bool, follow: bool) -> None:
    """Show what the running box plays, and its health."""
    from appliance.frontends import local_socket

    try:
        for current in local_socket.ask(local_socket.Request(follow=follow)):
            print_status(current, as_json)
    except KeyboardInterrupt:
        if not follow:
            raise


def print_status(status: Status, as_json: bool) -> None:
    """Print ``status`` as text, or as one line of JSON."""
    import msgspec

    from appliance.state import box_status

    click.echo(msgspec.json.encode(status) if as_json else box_status.format_status(status))
    sys.stdout.flush()
