"""``bachbox scene``: list, choose, save and delete scenes of the running box."""

from __future__ import annotations

import json

import click

from appliance.cli.name_completion import KeptName
from appliance.cli.options import json_option
from appliance.cli.status import print_status
from appliance.errors import UsageError


@click.command()
@click.argument("name", required=False, type=KeptName("scenes"))
@click.option("--save", metavar="NAME", help="Keep the current settings as a scene.")
@click.option("--delete", metavar="NAME", type=KeptName("scenes"), help="Delete a scene.")
@json_option
def scene(name: str | None, save: str | None, delete: str | None, as_json: bool) -> None:
    """Choose the scene NAME on the running box; without NAME, list the scenes.

    A scene sets model, instrument, tempo, temperature, tuning and more at once. Quote a name that
    has blanks: bachbox scene "Evening organ, 415 Hz"
    """
    from appliance.frontends import local_socket
    from appliance.frontends.library import LibraryRequest

    if sum(given is not None for given in (name, save, delete)) > 1:
        raise UsageError("give one of NAME, --save NAME and --delete NAME")
    if name is not None:
        print_status(next(local_socket.ask(local_socket.Request(set={"scene": name}))), as_json)
        return
    request = LibraryRequest("scenes")
    if save is not None:
        request = LibraryRequest("scenes", "save", save)
    elif delete is not None:
        request = LibraryRequest("scenes", "delete", delete)
    answer = local_socket.ask_library(request)
    if as_json:
        import msgspec

        click.echo(json.dumps(msgspec.to_builtins(answer.scenes), indent=2))
    elif answer.name:
        click.echo(f"{answer.name}: {'saved' if save is not None else 'deleted'}")
    for found in [] if as_json or answer.name else answer.scenes:
        words = {True: "on", False: "off"}
        values = ", ".join(
            f"{key} {words[value] if isinstance(value, bool) else value}"
            for key, value in found.settings.items()
        )
        click.secho(found.name, bold=True)
        click.echo(f"    {values}")
