"""What commands have in common: kinds of values, and options."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])


class Number(ParamType):
    """A setting's number, refused with the same sentence as everywhere else."""

    def __init__(self, setting: str) -> None:
        self.name = setting

    def convert(self, value: Any, param: object, ctx: object) -> float:
        from appliance.state import settings

        allowed = {
            "tempo": settings.TEMPO_BPM,
            "temperature": settings.TEMPERATURE,
            "top-p": settings.TOP_P,
            "volume": settings.VOLUME,
            "expression": settings.EXPRESSION,
            "pitch": settings.PITCH_HZ,
        }[self.name]
        return allowed.parse(f"--{self.name}", value)


class Instrument(ParamType):
    """A General MIDI instrument by name or number."""

    name = "instrument"

    def convert(self, value: Any, param: object, ctx: object) -> int:
        from appliance.state import general_midi

        return general_midi.find(value)

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.state.general_midi import NAMES

        # With hyphens, which the lookup takes for spaces, a shell has nothing to quote.
        words = [name.casefold().replace(" ", "-") for name in NAMES]
        return [CompletionItem(word) for word in words if word.startswith(incomplete.casefold())]


class Temperament(ParamType):
    """How the twelve notes are tuned, by name."""

    name = "temperament"

    def convert(self, value: Any, param: object, ctx: object) -> str:
        from appliance.state import settings

        return settings.find_temperament(value)

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.state.settings import TEMPERAMENTS

        return [CompletionItem(name) for name in TEMPERAMENTS if name.startswith(incomplete)]


class Seconds(click.FloatRange):
    """A number of seconds above 0; unlike click's own range it refuses ``nan``."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(min=0, max=most, min_open=True)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number of seconds", param, ctx)
        return number


class Model(ParamType):
    """A model by name or path, which is looked at where it is used."""

    name = "model"

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        from appliance.composing import model_file
        from appliance.config import loader

        names = [path.stem for path in model_file.listing(loader.model_folders(loader.Config()))]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


PATH: Final = click.Path(path_type=Path)
SEED: Final = click.IntRange(0, 2**63 - 1)

config_option: Final = click.option(
    "--config", "config_file", type=PATH, help="Read this config file and no other."
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")


def music_options(command: F) -> F:
    """What play and render have in common."""
    for option in reversed(
        [
            config_option,
            click.option("--model", type=Model(), help="A model's name, or a .tflite file."),
            click.option("--seed", type=SEED, help="The same seed gives the same music."),
            click.option("--tempo", type=Number("tempo"), help="40 to 240 beats a minute."),
            click.option(
                "--temperature", type=Number("temperature"), help="0.1 (stiff) to 3.0 (wild)."
            ),
            click.option(
                "--top-p", type=Number("top-p"), help="0.05 to 1.0: leave out unlikely notes."
            ),
            click.option(
                "--instrument", type=Instrument(), help="A General MIDI name or number (0-127)."
            ),
            click.option("--volume", type=Number("volume"), help="0 to 100 percent."),
            click.option(
                "--expression",
                type=Number("expression"),
                help="0 (the printed page) to 100 (exaggerated).",
            ),
            click.option(
                "--temperament",
                type=Temperament(),
                help="equal, werckmeister3, kirnberger3, vallotti or meantone.",
            ),
            click.option("--pitch", type=Number("pitch"), help="The a': 392 to 466 Hz."),
            click.option("--soundfont", type=PATH, help="A .sf2 or .sf3 file."),
            click.option(
                "--prime", type=PATH, help="Start from these bars of yours (MIDI, MusicXML, ABC)."
            ),
        ]
    ):
        command = option(command)
    return command
