"""The rows of the settings table for each voice: heard or not, its level, its instrument."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from appliance.ipc.shared_state import SAME_PROGRAM
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Choice, Number, Program, Switch, Value

if TYPE_CHECKING:
    from appliance.state.setting_records import EffectiveSettings

NAMES: Final = ("soprano", "alto", "tenor", "bass")
"""The voices, from the highest; on a keyboard the first and the last are the two hands."""

_TITLES: Final = ("Soprano or upper hand", "Alto", "Tenor", "Bass or lower hand")

SAME: Final = "same"
"""In place of an instrument: the one that plays the other voices."""

NO_SOLO: Final = "off"


@dataclass(frozen=True)
class VoiceProgram(Program):
    """A General MIDI program, or :data:`SAME`."""

    def __str__(self) -> str:
        return f'"{SAME}", or {super().__str__()}'

    @property
    def brief(self) -> str:
        """What is allowed, in as few words as possible."""
        return f"{SAME}, or {super().brief}"

    def parse(self, label: str, value: object) -> int:
        """Return the program that ``value`` means, or ``SAME_PROGRAM``.

        Raises:
            UsageError: as :meth:`Program.parse`.
        """
        if value == SAME_PROGRAM or str(value).strip().casefold() == SAME:
            return SAME_PROGRAM
        return super().parse(label, value)

    def show(self, value: Value) -> Value:
        """Return the name of the instrument with program ``value``, or :data:`SAME`."""
        return SAME if value == SAME_PROGRAM else super().show(value)

    def options(self, names: Sequence[str]) -> Sequence[Value]:
        """Return :data:`SAME`'s number and every program."""
        return range(SAME_PROGRAM, len(super().options(names)))


def _rows() -> Iterator[Setting]:
    for name, title in zip(NAMES, _TITLES, strict=True):
        yield Setting(
            name=name,
            kind=Switch(),
            title=title,
            help=f"Off silences the {title.lower()}, for those who play or sing it themselves.",
            icon="account-voice",
            group="voices",
            default=True,
            config=f"voices.{name}",
            advanced=True,
            metric=f"{name}_heard",
            metric_help=f"1 if the {title.lower()} is heard, 0 if not.",
        )
        yield Setting(
            name=f"{name}_level",
            kind=Number(0, 100, encoder_step=5, unit="percent", symbol="%"),
            title=f"{title}: level",
            help=f"How loud the {title.lower()} is beside the others.",
            icon="tune-vertical",
            group="voices",
            default=100.0,
            config=f"voices.{name}_level",
            advanced=True,
            metric=f"{name}_level_percent",
            metric_help=f"Level of the {title.lower()} in percent.",
        )
        yield Setting(
            name=f"{name}_instrument",
            kind=VoiceProgram(),
            title=f"{title}: instrument",
            help=f"The instrument of the {title.lower()}; same means that of the other voices.",
            icon="piano",
            group="voices",
            default=SAME_PROGRAM,
            config=f"voices.{name}_instrument",
            advanced=True,
        )
    yield Setting(
        name="solo",
        kind=Choice((NO_SOLO, *NAMES)),
        title="Solo",
        help="The one voice that is heard alone.",
        icon="account-star",
        group="voices",
        default=NO_SOLO,
        config="voices.solo",
        advanced=True,
    )


ROWS: Final = tuple(_rows())


def programs(settings: EffectiveSettings) -> tuple[int, ...]:
    """Return the General MIDI program of each voice; ``SAME_PROGRAM``: that of the others."""
    return tuple(getattr(settings, f"{name}_instrument") for name in NAMES)


def levels(settings: EffectiveSettings) -> tuple[float, ...]:
    """Return the level of each voice, 0 to 100; 0 if it is not heard."""
    is_heard = [
        settings.solo == name if settings.solo != NO_SOLO else getattr(settings, name)
        for name in NAMES
    ]
    return tuple(
        getattr(settings, f"{name}_level") * heard
        for name, heard in zip(NAMES, is_heard, strict=True)
    )
