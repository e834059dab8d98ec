"""Follows what has been played, event by event, for whoever keeps it; nothing is taken away."""

from __future__ import annotations

from appliance.ipc.ring import HISTORY_SLOTS, read_slot
from appliance.ipc.shared_state import SharedState
from appliance.music.events import Event


class PlayedEvents:
    """Begins with what the ring still has; look at least every few seconds."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._next = max(0, shared.reader.read().read_index - HISTORY_SLOTS)

    def look(self) -> list[Event] | None:
        """The events played since the last look, in order; None where some of them were missed."""
        end = self._shared.reader.read().read_index
        start, self._next = self._next, end
        found = [read_slot(self._shared, index) for index in range(start, end)]
        events = [event for event in found if event is not None]
        return events if len(events) == len(found) else None
