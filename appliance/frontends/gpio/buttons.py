"""Debounced push buttons, pressed and held. No pins and no threads here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

DEBOUNCE_S: Final = 0.03
"""The contacts of a button bounce for less than this."""


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
