"""The live parameters: one truth that every control changes and every display shows.

A control never writes a value itself; it asks :meth:`Settings.change`, which checks it and tells
the observers. Names and ranges are the same wherever a person meets them.

Everything here belongs to the thread of the daemon's event loop: a control whose library calls
back from another one comes over with ``loop.call_soon_threadsafe``.
"""

from __future__ import annotations

import difflib
import enum
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from appliance.errors import UsageError
from appliance.music import temperament as temperaments
from appliance.music.limits import MAX_MODEL_NAME_BYTES
from appliance.state import general_midi


class Range(NamedTuple):
    """What a number may be."""

    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}{self.unit and ' ' + self.unit}"

    def parse(self, name: str, value: object) -> float:
        """The number that ``value`` (a number or text) stands for.

        Raises:
            UsageError: it is none, or out of range.
        """
        try:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise ValueError
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if not self.low <= number <= self.high:
            raise UsageError(f"{name}: {_shown(value)} is not allowed; it is {self}")
        return number


TEMPO_BPM: Final = Range(40, 240, "beats a minute")
TEMPERATURE: Final = Range(0.1, 3.0)
TOP_P: Final = Range(0.05, 1.0)
VOLUME: Final = Range(0, 100, "percent")
EXPRESSION: Final = Range(0, 100, "percent")
PITCH_HZ: Final = Range(392, 466, "Hz")
"""Of the a': from the French chamber pitch to the choir pitch of Bach's organs."""
TEMPERAMENTS: Final = temperaments.NAMES

PREFERRED_EXPRESSION: Final = 60.0
"""Where the rules have the quantities that their authors prefer; the rest is exaggeration."""


class Action(enum.StrEnum):
    """What is asked for once, and leaves no value behind."""

    NEXT_PIECE = "next_piece"
    RESTART_PIECE = "restart_piece"
    TEST_TONE = "test_tone"
    """A second of A with the instrument that there is, over whatever plays."""


NAMES: Final = (
    *("playing", "model", "instrument", "tempo", "temperature", "top_p", "volume"),
    *("expression", "temperament", "pitch"),
)
"""Every setting, as it is called everywhere."""

OWN: Final = "own"
"""Said instead of a value: leave it to the model again."""


@dataclass(frozen=True)
class RequestedSettings:
    """One state of the settings. What is None is left to the model."""

    model: str
    playing: bool = True
    instrument: int | None = None
    """General MIDI program, 0 to 127."""
    tempo: float | None = None
    """Quarter notes a minute."""
    temperature: float | None = None
    top_p: float | None = None
    volume: float = 70.0
    """Percent."""
    expression: float = PREFERRED_EXPRESSION
    """0 (the printed page) to 100 (exaggerated)."""
    temperament: str = temperaments.EQUAL
    pitch: float = temperaments.CONCERT_PITCH_HZ
    """Of the a', in Hz."""


class ModelDefaults(NamedTuple):
    """What a model asks for where the person does not."""

    tempo_bpm: float
    temperature: float
    top_p: float
    program: int


class EffectiveSettings(NamedTuple):
    """The settings with nothing left open: the person's wish, or else the model's own."""

    playing: bool
    model: str
    instrument: int
    tempo: float
    temperature: float
    top_p: float
    volume: float
    expression: float
    temperament: str
    pitch: float


def effective(values: RequestedSettings, own: ModelDefaults) -> EffectiveSettings:
    """What ``values`` come to under a model that asks for ``own``."""

    def chosen(value: float | None, otherwise: float) -> float:
        return otherwise if value is None else value

    return EffectiveSettings(
        playing=values.playing,
        model=values.model,
        instrument=own.program if values.instrument is None else values.instrument,
        tempo=chosen(values.tempo, own.tempo_bpm),
        temperature=chosen(values.temperature, own.temperature),
        top_p=chosen(values.top_p, own.top_p),
        volume=values.volume,
        expression=values.expression,
        temperament=values.temperament,
        pitch=values.pitch,
    )


Observer = Callable[[RequestedSettings, frozenset[str]], None]
"""Told the state now, and the names of what changed: settings, or one action."""


class Settings:
    """The settings in force.

    ``models`` gives the names of the models there are just now; ``own`` what one asks for, or a
    BachboxError where it cannot be used.
    """

    def __init__(
        self,
        values: RequestedSettings,
        models: Callable[[], Iterable[str]],
        own: Callable[[str], ModelDefaults],
    ) -> None:
        self._values = values
        self._models = models
        self._own_of = own
        self._own = own(values.model)
        self._observers: list[Observer] = []
        self._parsers: dict[str, Callable[[Any], object]] = {
            "playing": _parse_playing,
            "model": self._parse_model,
            "instrument": _or_own(general_midi.find),
            "tempo": _or_own(lambda value: TEMPO_BPM.parse("tempo", value)),
            "temperature": _or_own(lambda value: TEMPERATURE.parse("temperature", value)),
            "top_p": _or_own(lambda value: TOP_P.parse("top_p", value)),
            "volume": lambda value: VOLUME.parse("volume", value),
            "expression": lambda value: EXPRESSION.parse("expression", value),
            "temperament": find_temperament,
            "pitch": lambda value: PITCH_HZ.parse("pitch", value),
        }
        self.trouble: Callable[[Exception], None] = _raise
        """Told of an observer that failed; the others have been called all the same."""

    @property
    def values(self) -> RequestedSettings:
        """What has been asked for; it never changes in your hands."""
        return self._values

    @property
    def effective(self) -> EffectiveSettings:
        """What that comes to with this model."""
        return effective(self._values, self._own)

    @property
    def names(self) -> tuple[str, ...]:
        """Every setting, not the actions."""
        return NAMES

    @property
    def models(self) -> list[str]:
        """The models that there are just now, by name."""
        return sorted(self._models())

    def change(self, name: str, value: object) -> RequestedSettings:
        """Set ``name`` to ``value`` (typed, or as text) and tell the observers.

        Raises:
            UsageError: there is no such setting, or it cannot be that; nothing has changed.
            BachboxError: that model is there but cannot be used; nothing has changed.
        """
        return self.change_all({name: value})

    def change_all(self, wishes: Mapping[str, object]) -> RequestedSettings:
        """Set all of ``wishes`` (value by name), or none of them.

        Raises:
            BachboxError: as :meth:`change`.
        """
        return self._set(**{self.check_name(n): self._parse(n, value) for n, value in wishes.items()})

    def act(self, action: str) -> None:
        """Have an :class:`Action` done.

        Raises:
            UsageError: there is no such action.
        """
        try:
            done = Action(action.replace("-", "_"))
        except ValueError as error:
            raise UsageError(
                f"there is no action {_shown(action)}; there are {', '.join(Action)}"
            ) from error
        self._tell(frozenset({str(done)}))

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Have ``observer`` called after each change; returns what ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def check_name(self, name: str) -> str:
        wanted = name.replace("-", "_")
        if wanted in self._parsers:
            return wanted
        close = difflib.get_close_matches(wanted.casefold(), self._parsers, 1, 0.6)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(self._parsers)}"
        raise UsageError(f"there is no setting {_shown(name)}; {hint}")

    def _parse(self, name: str, value: object) -> object:
        return self._parsers[self.check_name(name)](value)

    def _set(self, **changes: Any) -> RequestedSettings:
        old, new = self._values, replace(self._values, **changes)
        changed = frozenset(name for name in changes if getattr(old, name) != getattr(new, name))
        if "model" in changed:
            self._own = self._own_of(new.model)
        if changed:
            self._values = new
            self._tell(changed)
        return self._values

    def _tell(self, changed: frozenset[str]) -> None:
        failures = []
        for observer in tuple(self._observers):
            try:
                # The values of this moment: an observer before this one may have changed more.
                observer(self._values, changed)
            except Exception as error:
                failures.append(error)
        for failure in failures:
            self.trouble(failure)

    def _parse_model(self, value: object) -> str:
        known = self.models
        if not isinstance(value, str) or value not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"there is no model {_shown(value)}; there are: {have}")
        if len(value.encode()) > MAX_MODEL_NAME_BYTES:
            raise UsageError(
                f"the model name {_shown(value)} is too long: at most {MAX_MODEL_NAME_BYTES} bytes "
                "are allowed; rename the file"
            )
        return value


def find_temperament(name: object) -> str:
    """The temperament that is called ``name``, in any case and with any hyphens or blanks.

    Raises:
        UsageError: there is none.
    """
    wanted = str(name).casefold().replace("-", "").replace("_", "").replace(" ", "")
    if wanted not in TEMPERAMENTS:
        raise UsageError(
            f"temperament: {_shown(name)} is not allowed; it is one of {', '.join(TEMPERAMENTS)}"
        )
    return wanted


def _or_own(parse: Callable[[Any], object]) -> Callable[[Any], object]:
    """``parse``, or None for the word that leaves it to the model."""
    return lambda value: None if _is_own(value) else parse(value)


def _is_own(value: object) -> bool:
    return isinstance(value, str) and value.strip().casefold() == OWN


def _raise(error: Exception) -> None:
    raise error


_SPOKEN: Final = {"on": True, "off": False, "true": True, "false": False, "1": True, "0": False}


def _parse_playing(value: object) -> bool:
    spoken = _SPOKEN.get(str(value).strip().casefold())
    if spoken is None:
        raise UsageError(f"playing: {_shown(value)} is not allowed; it is on or off")
    return spoken


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
