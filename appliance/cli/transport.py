"""``bachbox pause``, ``resume``, ``toggle``, ``next``, ``sleep``: the buttons of a player.

There is no verb "play": ``bachbox play`` starts a box, and must not mean "resume" where one runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from appliance.cli.options import ParamType, json_option
from appliance.cli.status import print_status
from appliance.state.settings_ranges_and_steps import number

if TYPE_CHECKING:
    from appliance.frontends.local_socket import Request


@click.command()
@json_option
def pause(as_json: bool) -> None:
    """Pause the running box."""
    _set_playing("off", as_json)


@click.command()
@json_option
def resume(as_json: bool) -> None:
    """Resume the paused box."""
    _set_playing("on", as_json)


@click.command()
@json_option
def toggle(as_json: bool) -> None:
    """Pause the running box, or resume it if it is paused."""
    _set_playing("toggle", as_json)


@click.command(name="next")
@json_option
def next_(as_json: bool) -> None:
    """Skip to the next piece on the running box."""
    from appliance.frontends.local_socket import Request
    from appliance.state.settings import Action

    _send(Request(act=[Action.NEXT_PIECE]), as_json)


class Minutes(ParamType):
    """A number of minutes, or "off"."""

    name = "minutes"

    def convert(self, value: Any, param: object, ctx: object) -> float:
        """Return the number; 0 for "off".

        Raises:
            UsageError: it is neither, or too many.
        """
        return 0.0 if value == "off" else number("sleep").parse("sleep", value)


@click.command()
@click.argument("minutes", type=Minutes())
@json_option
def sleep(minutes: float, as_json: bool) -> None:
    """Fade out and pause the music in MINUTES; "off" ends the timer."""
    from appliance.frontends.local_socket import Request

    _send(Request(set={"sleep": minutes}), as_json)


def _set_playing(value: str, as_json: bool) -> None:
    from appliance.frontends.local_socket import Request

    _send(Request(set={"playing": value}), as_json)


def _send(request: Request, as_json: bool) -> None:
    from appliance.frontends import local_socket

    print_status(next(local_socket.ask(request)), as_json)
