"""Events of the box, such as a piece that begins, for frontends that report them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Final


class BoxEvent(enum.StrEnum):
    """What happened."""

    PIECE_BEGAN = "piece_began"
    PIECE_ENDED = "piece_ended"
    SAVED = "saved"
    """A piece was saved for good."""
    KNOB_TURNED = "knob_turned"
    """A knob was turned, or a button pressed."""


Listener = Callable[[BoxEvent, str], None]
"""Called with the event and what it is about, such as the title of the piece."""

TITLES: Final = {
    BoxEvent.PIECE_BEGAN: "Piece began",
    BoxEvent.PIECE_ENDED: "Piece ended",
    BoxEvent.SAVED: "Piece saved",
    BoxEvent.KNOB_TURNED: "Knob turned",
}


class BoxEvents:
    """Passes events on; used in the thread of the daemon's event loop."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []

    def emit(self, event: BoxEvent, about: str) -> None:
        """Tell every listener."""
        for listener in tuple(self._listeners):
            listener(event, about)

    def observe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each event from now on; return a function that stops this."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)
