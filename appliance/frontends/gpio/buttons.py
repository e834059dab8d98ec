"""Debounced push buttons, pressed once or twice, and held. No pins and no threads here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

DEBOUNCE_S: Final = 0.03
"""The contacts of a button bounce for less than this."""


DOUBLE_S: Final = 0.4
"""A second press within this time after the first makes a double press."""


class Timer(Protocol):
    """A scheduled call, as ``loop.call_later`` returns it."""

    def cancel(self) -> None:
        """Cancel the call."""


class DebouncedButton:
    """A button without its bounce: pressed at the first edge, released when the contact is quiet.

    Args:
        is_down: reads the contact.
        call_later: calls a function after a number of seconds.
        on_press: called when the button is pressed; with ``on_hold`` when it is released before
            ``hold_s``, with ``on_double`` when no second press has followed.
        on_hold: called when it is held for ``hold_s``; None: every press calls ``on_press``.
        hold_s: how long that is: ``HOLD_S`` of ``config/gpio_schema.py``.
        on_double: called when it is pressed twice within :data:`DOUBLE_S`; None: never.
    """

    def __init__(
        self,
        is_down: Callable[[], bool],
        call_later: Callable[[float, Callable[[], None]], Timer],
        on_press: Callable[[], None],
        on_hold: Callable[[], None] | None,
        hold_s: float,
        on_double: Callable[[], None] | None = None,
    ) -> None:
        self._is_down = is_down
        self._call_later = call_later
        self._on_press = on_press
        self._on_hold = on_hold
        self._hold_s = hold_s
        self._down = False
        self._on_double = on_double
        self._is_done = False
        """What this press does is done."""
        self._double_timer: Timer | None = None
        self._debounce_timer: Timer | None = None
        self._hold_timer: Timer | None = None

    def on_edge(self, down: bool) -> None:
        """Process an edge: the contact has closed (``down``) or opened, or it bounces."""
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
        self._down, self._is_done = True, False
        if self._double_timer is not None and self._on_double is not None:
            self._double_timer.cancel()
            self._double_timer, self._is_done = None, True
            self._on_double()
        elif self._on_hold is not None:
            # Whether this is a long press shows only later, and until then nothing may happen.
            self._hold_timer = self._call_later(self._hold_s, self._hold_reached)
        elif self._on_double is None:
            self._is_done = True
            self._on_press()

    def _hold_reached(self) -> None:
        if self._down and self._on_hold is not None and self._is_down():
            self._is_done = True
            self._on_hold()

    def _release(self) -> None:
        self._down = False
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        if self._is_done:
            return
        if self._on_double is None:
            self._on_press()
        else:
            self._double_timer = self._call_later(DOUBLE_S, self._stayed_single)

    def _stayed_single(self) -> None:
        self._double_timer = None
        self._on_press()
