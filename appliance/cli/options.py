"""What the commands share: types of values, and options."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from appliance.audio.alsa_cards import hardware_cards
from appliance.state.setting import Setting
from appliance.state.setting_kinds import ModelName, NamedKind, OutputName, Program, SoundfontName
from appliance.state.settings_ranges_and_steps import SETTINGS

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


class SettingValue(ParamType):
    """The value of a setting, checked as everywhere else; names are looked up later."""

    def __init__(self, setting: Setting) -> None:
        self.name = setting.name
        self._setting = setting

    def convert(self, value: Any, param: object, ctx: object) -> Any:
        """Return the value that the text ``value`` stands for; a name unchanged.

        Raises:
            UsageError: the setting cannot have that value.
        """
        kind = self._setting.kind
        if isinstance(kind, OutputName):
            return kind.written(value)
        return value if isinstance(kind, NamedKind) else kind.parse(self._setting.option, value)

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        """Return the values that begin with ``incomplete``, for the shell."""
        from click.shell_completion import CompletionItem

        words = self._words()
        return [CompletionItem(word) for word in words if word.startswith(incomplete.casefold())]

    def _words(self) -> list[str]:
        """Return the values that a shell can complete."""
        kind = self._setting.kind
        if isinstance(kind, ModelName):
            from appliance.composing import model_file
            from appliance.config import loader

            folders = loader.model_folders(loader.Config())
            return [path.stem for path in model_file.listing(folders)]
        if isinstance(kind, SoundfontName):
            from appliance.config import loader

            return ["default", *loader.soundfonts(loader.Config())]
        if isinstance(kind, NamedKind):
            return ["default", *(card.label for card in hardware_cards()), "null"]
        words = [str(kind.show(value)) for value in kind.options(())]
        if isinstance(kind, Program):
            # The look-up takes hyphens for blanks, and a shell does not have to quote them.
            return [word.casefold().replace(" ", "-") for word in words]
        return words


class Seconds(click.FloatRange):
    """A number of seconds above 0; unlike click's own range it rejects ``nan``."""

    def __init__(self, max_s: float | None = None) -> None:
        super().__init__(min=0, max=max_s, min_open=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the number that the text ``value`` stands for.

        Raises:
            click.BadParameter: it is not a finite number in the range.
        """
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


_OF_THE_LOUDSPEAKERS: Final = ("output", "balance", "swap_channels", "mono")
"""Settings of what is heard in the room; a rendered file has both channels as they are."""

PATH: Final = click.Path(path_type=Path)
SEED: Final = click.IntRange(0, 2**63 - 1)

config_option: Final = click.option(
    "--config", "config_file", type=PATH, help="Read this config file and no other."
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def music_options(command: F) -> F:
    """Add the options that play and render share: config file, settings, seed, prime."""
    options = [
        config_option,
        *(
            _setting_option(setting)
            for setting in SETTINGS
            if setting.option and setting.name not in _OF_THE_LOUDSPEAKERS
        ),
        click.option("--seed", type=SEED, help="The same seed gives the same music."),
        click.option(
            "--prime", type=PATH, help="Start with the bars in this file (MIDI, MusicXML, ABC)."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def loudspeaker_options(command: F) -> F:
    """Add the options that only playing needs: output, balance, and what goes where."""
    for setting in reversed(SETTINGS):
        if setting.name in _OF_THE_LOUDSPEAKERS:
            command = _setting_option(setting)(command)
    return command


def _setting_option(setting: Setting) -> Callable[[F], F]:
    allowed = setting.kind.brief
    if isinstance(setting.kind, ModelName):
        allowed += ", or the path of a .tflite file"
    elif isinstance(setting.kind, OutputName | SoundfontName):
        allowed = str(setting.kind)
    return click.option(
        setting.option, type=SettingValue(setting), help=f"{setting.help}  [{allowed}]"
    )
