"""The box that runs: what it plays, and a word to it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from appliance.cli.options import ParamType, json_option
from appliance.errors import UsageError

if TYPE_CHECKING:
    from appliance.state.box_status import Status


class _Wish(ParamType):
    """``name=value``, or the name of an action."""

    name = "wish"

    def convert(self, value: Any, param: object, ctx: object) -> tuple[str, str | None]:
        from appliance.state.settings import Action

        name, equals, said = str(value).partition("=")
        name = name.strip().replace("-", "_")
        if equals:
            return name, said
        if name not in list(Action):
            raise UsageError(
                f"{name} alone says nothing; write {name}=VALUE, or one of {', '.join(Action)}"
            )
        return name, None

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.state.settings import NAMES, Action

        known = [*Action, *(f"{name}=" for name in NAMES)]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


@click.command(name="set")
@click.argument("wishes", metavar="NAME=VALUE...", nargs=-1, required=True, type=_Wish())
@json_option
def set_(wishes: tuple[tuple[str, str | None], ...], as_json: bool) -> None:
    """Change what the running box plays: tempo=96 instrument="church organ" next_piece.

    The settings: playing, model, instrument, tempo, temperature, top_p, volume, expression,
    temperament, pitch; "own" leaves one of the model's to it again. The actions: next_piece,
    restart_piece, test_tone.
    """
    from appliance.frontends import local_socket
    from appliance.state.settings import Action

    request = local_socket.Request(
        set={name: value for name, value in wishes if value is not None},
        act=[Action(name) for name, value in wishes if value is None],
    )
    _tell(next(local_socket.ask(request)), as_json)


@click.command()
@json_option
@click.option("--follow", is_flag=True, help="Go on as things change, until Ctrl-C.")
def status(as_json: bool, follow: bool) -> None:
    """Show what the running box plays, and how it is."""
    from appliance.frontends import local_socket

    try:
        for now in local_socket.ask(local_socket.Request(follow=follow)):
            _tell(now, as_json)
    except KeyboardInterrupt:
        if not follow:
            raise


def _tell(now: Status, as_json: bool) -> None:
    import msgspec

    from appliance.state import box_status as status

    click.echo(msgspec.json.encode(now) if as_json else status.told(now))
    sys.stdout.flush()
