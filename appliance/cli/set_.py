"""``bachbox set``: change what the running box plays."""

from __future__ import annotations

from typing import Any, Final

import click

from appliance.cli.options import ParamType, json_option
from appliance.cli.status import print_status
from appliance.errors import UsageError
from appliance.state.settings_ranges_and_steps import NAMES, SETTINGS, USE_DEFAULT

_WITH_MODEL_DEFAULT: Final = [setting.name for setting in SETTINGS if setting.default is None]


class Change(ParamType):
    """``name=value`` for a setting, or the name of an action alone."""

    name = "change"

    def convert(self, value: Any, param: object, ctx: object) -> tuple[str, str | None]:
        """Return setting and value, or an action and None.

        Raises:
            UsageError: ``value`` is neither a change nor an action.
        """
        from appliance.state.settings import Action

        name, equals, text = str(value).partition("=")
        if equals and name[-1:] in ("+", "-"):
            name, text = name[:-1], f"{name[-1]}={text}"
        name = name.strip().replace("-", "_")
        if equals:
            return name, text
        if name not in list(Action):
            raise UsageError(
                f"{name} needs a value: write {name}=VALUE, or one of the actions "
                f"{', '.join(Action)}"
            )
        return name, None

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        """Return the actions and settings that begin with ``incomplete``, for the shell."""
        from click.shell_completion import CompletionItem

        from appliance.state.settings import Action

        known = [*Action, *(f"{name}=" for name in NAMES)]
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


_HELP: Final = f"""Change what the running box plays.

For example: bachbox set tempo=96 instrument="church organ" next_piece

The settings: {", ".join(NAMES)}. NAME={USE_DEFAULT} sets {", ".join(_WITH_MODEL_DEFAULT)}
to the model's default again, volume=+5 or volume=-5 changes a number, playing=toggle a switch.
The actions, which take no value: next_piece, restart_piece, model_defaults, save, test_tone.
"""


@click.command(name="set", help=_HELP)
@click.argument("changes", metavar="NAME=VALUE...", nargs=-1, required=True, type=Change())
@json_option
def set_(changes: tuple[tuple[str, str | None], ...], as_json: bool) -> None:
    """Send the changes to the running box and print its new state."""
    from appliance.frontends import local_socket
    from appliance.state.settings import Action

    request = local_socket.Request(
        set={name: value for name, value in changes if value is not None},
        act=[Action(name) for name, value in changes if value is None],
    )
    print_status(next(local_socket.ask(request)), as_json)
