"""What a knob means: from clicks and voltages to values of a setting. No pins, no threads.

Places are numbers from 0 to 1: where in a setting's range a value lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from appliance.state.settings import (
    EXPRESSION,
    PITCH_HZ,
    TEMPERAMENTS,
    TEMPERATURE,
    TEMPO_BPM,
    TOP_P,
    VOLUME,
    Range,
    Settings,
)

RANGES: Final[dict[str, Range]] = {
    "tempo": TEMPO_BPM,
    "temperature": TEMPERATURE,
    "top_p": TOP_P,
    "volume": VOLUME,
    "expression": EXPRESSION,
    "pitch": PITCH_HZ,
}

STEPS: Final = {
    "tempo": 2.0,
    "temperature": 0.05,
    "top_p": 0.02,
    "volume": 2.0,
    "expression": 5.0,
    "pitch": 1.0,
}
"""What one click of an encoder changes, where the config does not say."""

GRAINS: Final = {
    "tempo": 1.0,
    "temperature": 0.01,
    "top_p": 0.01,
    "volume": 1.0,
    "expression": 1.0,
    "pitch": 1.0,
}
"""A potentiometer sets multiples of these."""

INSTRUMENTS: Final = 128

SMOOTHING: Final = 0.5
"""How much of a new reading is believed; the rest is what we thought before."""

HYSTERESIS: Final = 0.006
"""Of the whole turn: six of a 10-bit converter's steps. Less is noise, not a hand."""

DEAD_END: Final = 0.01
"""At either end of the turn, so that the ends are reached in spite of tolerances."""

NEAR: Final = 0.02
"""A knob that is so close to the value may take it over."""

SETTLE_S: Final = 0.03
"""Contacts of a button bounce for less than this."""


def clicked(settings: Settings, name: str, clicks: int, step: float | None = None) -> object:
    """The value of ``name`` after ``clicks`` to the right (left where negative)."""
    now = getattr(settings.effective, name)
    if name == "playing":
        return clicks > 0
    if name == "instrument":
        return (now + clicks) % INSTRUMENTS
    if choices := _choices(settings, name):
        return choices[(choices.index(now) + clicks) % len(choices)] if now in choices else now
    allowed = RANGES[name]
    value = now + clicks * (step or STEPS[name])
    return round(min(max(value, allowed.low), allowed.high), 4)


def value_at(settings: Settings, name: str, place: float) -> object:
    """The value of ``name`` at ``place``."""
    if name == "playing":
        return place > 0.5
    if name == "instrument":
        return min(int(place * INSTRUMENTS), INSTRUMENTS - 1)
    if choices := _choices(settings, name):
        return choices[min(int(place * len(choices)), len(choices) - 1)]
    allowed, grain = RANGES[name], GRAINS[name]
    value = allowed.low + place * (allowed.high - allowed.low)
    return round(min(max(round(value / grain) * grain, allowed.low), allowed.high), 4)


def place_of(settings: Settings, name: str) -> float:
    """Where the value in force of ``name`` lies."""
    now = getattr(settings.effective, name)
    if name == "playing":
        return 0.75 if now else 0.25
    if name == "instrument":
        return float((now + 0.5) / INSTRUMENTS)
    if choices := _choices(settings, name):
        return (choices.index(now) + 0.5) / len(choices) if now in choices else 0.5
    allowed = RANGES[name]
    return float((now - allowed.low) / (allowed.high - allowed.low))


def _choices(settings: Settings, name: str) -> Sequence[str]:
    """The values of a setting that is one of some names; none of another's."""
    if name == "model":
        return settings.models
    return TEMPERAMENTS if name == "temperament" else ()


class NoiseFilter:
    """A potentiometer's readings without their noise."""

    def __init__(self) -> None:
        self._smooth: float | None = None
        self._place: float | None = None

    def feel(self, reading: float) -> float | None:
        """The place (0 to 1) where a hand has put the knob; None where it has not moved."""
        smooth = reading if self._smooth is None else self._smooth
        self._smooth = smooth + SMOOTHING * (reading - smooth)
        place = min(max((self._smooth - DEAD_END) / (1 - 2 * DEAD_END), 0.0), 1.0)
        moved = self._place is None or abs(place - self._place) > HYSTERESIS
        at_end = place in (0.0, 1.0) and place != self._place
        if not (moved or at_end):
            return None
        self._place = place
        return place


class SoftTakeover:
    """Lets a potentiometer set a value only once it has been where the value is.

    Otherwise the value would jump to wherever the knob was left, at the first touch.
    """

    def __init__(self) -> None:
        self._place: float | None = None
        self._set: object = None

    def turn(self, settings: Settings, name: str, place: float) -> object | None:
        """The new value of ``name`` with the knob at ``place``; None: nothing changes."""
        before, self._place = self._place, place
        if before is None:
            return None
        in_charge = self._set is not None and getattr(settings.effective, name) == self._set
        if not in_charge:
            target = place_of(settings, name)
            passed = (before - target) * (place - target) <= 0
            if not passed and abs(place - target) > NEAR:
                self._set = None
                return None
        self._set = value_at(settings, name, place)
        return self._set


class Timer(Protocol):
    """What ``loop.call_later`` gives."""

    def cancel(self) -> None:
        """It will not be called."""


class DebouncedButton:
    """A button's edges without their bounce: pressed at the first, released when all is quiet.

    ``is_down`` reads the contact, ``later`` calls a function after so many seconds.
    """

    def __init__(
        self,
        is_down: Callable[[], bool],
        later: Callable[[float, Callable[[], None]], Timer],
        pressed: Callable[[], None],
        held: Callable[[], None] | None = None,
        hold_seconds: float = 2.0,
    ) -> None:
        self._is_down = is_down
        self._later = later
        self._pressed = pressed
        self._held = held
        self._hold_seconds = hold_seconds
        self._down = False
        self._was_held = False
        self._settling: Timer | None = None
        self._holding: Timer | None = None

    def edge(self, down: bool) -> None:
        """The contact has closed or opened, or it bounces."""
        if down and not self._down:
            self._begin()
        if self._settling is not None:
            self._settling.cancel()
        self._settling = self._later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._settling = None
        down = self._is_down()
        if down and not self._down:
            self._begin()
        elif self._down and not down:
            self._end()

    def _begin(self) -> None:
        self._down, self._was_held = True, False
        if self._held is None:
            self._pressed()
        else:
            # What a long press means is known only later; so is what a short one means.
            self._holding = self._later(self._hold_seconds, self._hold)

    def _hold(self) -> None:
        if self._down and self._held is not None and self._is_down():
            self._was_held = True
            self._held()

    def _end(self) -> None:
        self._down = False
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        if self._held is not None and not self._was_held:
            self._pressed()
