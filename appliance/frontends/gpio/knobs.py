"""What knobs and buttons mean: from clicks, voltages and contacts to values of a setting.

No pins and no threads here. A position is a number from 0 to 1: the place of a value in the range
of its setting, or of a potentiometer between its ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Settings
from appliance.state.settings_table import BY_NAME

SMOOTHING: Final = 0.5
"""The weight of a new reading in the moving average."""

HYSTERESIS: Final = 0.006
"""Smaller changes of the position are noise; six steps of a 10-bit converter."""

DEAD_ZONE: Final = 0.01
"""At either end of the travel, so that both ends are reached in spite of tolerances."""

TAKEOVER_DISTANCE: Final = 0.02
"""A potentiometer this close to the value may take it over."""

DEBOUNCE_S: Final = 0.03
"""The contacts of a button bounce for less than this."""


def value_after_clicks(
    settings: Settings, name: str, clicks: int, step: float | None = None
) -> object:
    """Return the value of setting ``name`` after turning a rotary encoder.

    Args:
        settings: the current settings.
        name: the setting.
        clicks: how far; positive to the right.
        step: the change of a number at each click; None: the step in the settings table.
    """
    current = getattr(settings.effective, name)
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        return kind.clamp(current + clicks * (step or kind.step))
    if isinstance(kind, Switch):
        return clicks > 0
    options = settings.options(name)
    if current not in options:
        return current
    return options[(options.index(current) + clicks) % len(options)]


def value_at(settings: Settings, name: str, position: float) -> object:
    """Return the value of setting ``name`` at ``position``."""
    kind = BY_NAME[name].kind
    if isinstance(kind, Number):
        value = kind.low + position * (kind.high - kind.low)
        return kind.clamp(round(value / kind.grain) * kind.grain)
    if isinstance(kind, Switch):
        return position > 0.5
    options = settings.options(name)
    return options[min(int(position * len(options)), len(options) - 1)]


def position_of(settings: Settings, name: str) -> float:
    """Return the position of the effective value of setting ``name``."""
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
        """Take a ``reading`` (0 to 1); return the new position, or None if it has not moved."""
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
        """Return the new value of setting ``name`` at ``position``; None to change nothing."""
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


class Timer(Protocol):
    """A scheduled call, as ``loop.call_later`` returns it."""

    def cancel(self) -> None:
        """Cancel the call."""


class DebouncedButton:
    """A button without its bounce: pressed at the first edge, released when the contact is quiet.

    Args:
        is_down: reads the contact.
        call_later: calls a function after a number of seconds.
        on_press: called when the button is pressed, or released again before ``hold_s``.
        on_hold: called when it is held for ``hold_s``; None: every press calls ``on_press``.
        hold_s: how long the button must be held.
    """

    def __init__(
        self,
        is_down: Callable[[], bool],
        call_later: Callable[[float, Callable[[], None]], Timer],
        on_press: Callable[[], None],
        on_hold: Callable[[], None] | None = None,
        hold_s: float = 2.0,
    ) -> None:
        self._is_down = is_down
        self._call_later = call_later
        self._on_press = on_press
        self._on_hold = on_hold
        self._hold_s = hold_s
        self._down = False
        self._was_held = False
        self._debounce_timer: Timer | None = None
        self._hold_timer: Timer | None = None

    def on_edge(self, down: bool) -> None:
        """Take an edge: the contact has closed (``down``) or opened, or it bounces."""
        if down and not self._down:
            self._press()
        if self._debounce_timer is not None:
            self._debounce_timer.cancel()
        self._debounce_timer = self._call_later(DEBOUNCE_S, self._on_quiet)

    def _on_quiet(self) -> None:
        self._debounce_timer = None
        down = self._is_down()
        if down and not self._down:
            self._press()
        elif self._down and not down:
            self._release()

    def _press(self) -> None:
        self._down, self._was_held = True, False
        if self._on_hold is None:
            self._on_press()
        else:
            # Whether this is a long press shows only later, and until then nothing may happen.
            self._hold_timer = self._call_later(self._hold_s, self._hold_reached)

    def _hold_reached(self) -> None:
        if self._down and self._on_hold is not None and self._is_down():
            self._was_held = True
            self._on_hold()

    def _release(self) -> None:
        self._down = False
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        if self._on_hold is not None and not self._was_held:
            self._on_press()
