"""From the readings of a potentiometer to a value of a setting. No pins and no threads here.

A position is a number from 0 to 1: the place of a value in the range of its setting, or of a
potentiometer between its ends.
"""

from __future__ import annotations

from typing import Final

from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Settings
from appliance.state.settings_ranges_and_steps import BY_NAME

SMOOTHING: Final = 0.5
"""The weight of a new reading in the moving average."""

HYSTERESIS: Final = 0.006
"""Smaller changes of the position are noise; six steps of a 10-bit converter."""

DEAD_ZONE: Final = 0.01
"""At either end of the travel, so that both ends are reached in spite of tolerances."""

TAKEOVER_DISTANCE: Final = 0.02
"""A potentiometer this close to the value may take it over."""


def value_at(settings: Settings, name: str, position: float) -> object:
    """Return the value of setting ``name`` at ``position``, 0 to 1."""
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        value = kind.low + position * (kind.high - kind.low)
        return kind.clamp(round(value / kind.grain) * kind.grain)
    if isinstance(kind, Switch):
        return position > 0.5
    options = settings.options(name)
    return options[min(int(position * len(options)), len(options) - 1)]


def position_of(settings: Settings, name: str) -> float:
    """Return the position of the effective value of setting ``name``, 0 to 1."""
    current = getattr(settings.effective, name)
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        return float((current - kind.low) / (kind.high - kind.low))
    options = settings.options(name)
    return (options.index(current) + 0.5) / len(options) if current in options else 0.5


class NoiseFilter:
    """Removes the noise from a potentiometer's readings."""

    def __init__(self) -> None:
        self._average: float | None = None
        self._position: float | None = None

    def update(self, reading: float) -> float | None:
        """Filter a ``reading`` (0 to 1); return the new position, or None if it has not moved."""
        average = reading if self._average is None else self._average
        self._average = average + SMOOTHING * (reading - average)
        position = min(max((self._average - DEAD_ZONE) / (1 - 2 * DEAD_ZONE), 0.0), 1.0)
        moved = self._position is None or abs(position - self._position) > HYSTERESIS
        reached_end = position in (0.0, 1.0) and position != self._position
        if not (moved or reached_end):
            return None
        self._position = position
        return position


class SoftTakeover:
    """Lets a potentiometer set a value only after it has passed that value.

    Otherwise the value would jump to the potentiometer's old position at the first touch.
    """

    def __init__(self) -> None:
        self._position: float | None = None
        self._last_value: object = None
        """The value that this potentiometer has set; None while it has not taken over."""

    def turn(self, settings: Settings, name: str, position: float) -> object | None:
        """Return the new value of setting ``name`` at ``position`` (0 to 1); None: no change."""
        before, self._position = self._position, position
        if before is None:
            return None
        current = getattr(settings.effective, name)
        if self._last_value is None or current != self._last_value:
            target = position_of(settings, name)
            passed = (before - target) * (position - target) <= 0
            if not passed and abs(position - target) > TAKEOVER_DISTANCE:
                self._last_value = None
                return None
        self._last_value = value_at(settings, name, position)
        return self._last_value
