"""The live parameters: one truth that every control changes and every display shows.

A control never writes a value itself; it asks :meth:`Settings.change`, which checks it and tells
the observers. Names and ranges are the same wherever a person meets them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from appliance import instruments
from appliance.errors import UsageError


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


@dataclass(frozen=True)
class Values:
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


Observer = Callable[[Values, frozenset[str]], None]
"""Told the new state, and the names of what changed."""


class Settings:
    """The settings in force; ``models`` gives the names of the models there are just now."""

    def __init__(self, values: Values, models: Callable[[], Iterable[str]]) -> None:
        self._values = values
        self._models = models
        self._observers: list[Observer] = []
        self._parsers: dict[str, Callable[[Any], object]] = {
            "playing": _parse_playing,
            "model": self._parse_model,
            "instrument": instruments.find,
            "tempo": lambda value: TEMPO_BPM.parse("tempo", value),
            "temperature": lambda value: TEMPERATURE.parse("temperature", value),
            "top_p": lambda value: TOP_P.parse("top_p", value),
            "volume": lambda value: VOLUME.parse("volume", value),
        }

    @property
    def values(self) -> Values:
        """The state now; it never changes in your hands."""
        return self._values

    def change(self, name: str, value: object) -> Values:
        """Set ``name`` to ``value`` (typed, or as text) and tell the observers.

        Raises:
            UsageError: there is no such setting, or it cannot be that; nothing has changed.
        """
        name = name.replace("-", "_")
        parse = self._parsers.get(name)
        if parse is None:
            raise UsageError(
                f"there is no setting {_shown(name)}; there are {', '.join(self._parsers)}"
            )
        return self._set(**{name: parse(value)})

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Have ``observer`` called after each change; returns what ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def _set(self, **changes: Any) -> Values:
        old, new = self._values, replace(self._values, **changes)
        changed = frozenset(name for name in changes if getattr(old, name) != getattr(new, name))
        if changed:
            self._values = new
            for observer in tuple(self._observers):
                observer(new, changed)
        return new

    def _parse_model(self, value: object) -> str:
        known = sorted(self._models())
        if not isinstance(value, str) or value not in known:
            have = ", ".join(known) or "none"
            raise UsageError(f"there is no model {_shown(value)}; there are: {have}")
        return value


_SPOKEN: Final = {"on": True, "off": False, "true": True, "false": False, "1": True, "0": False}


def _parse_playing(value: object) -> bool:
    spoken = _SPOKEN.get(str(value).strip().casefold())
    if spoken is None:
        raise UsageError(f"playing: {_shown(value)} is not allowed; it is on or off")
    return spoken


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
