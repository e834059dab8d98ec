"""Reads the events that have been played, without taking them from the ring, to record them."""

from __future__ import annotations

from appliance.ipc.ring import HISTORY_SLOTS
from appliance.ipc.ring_slots import read_slot
from appliance.ipc.shared_state import SharedState
from appliance.music.events import Event


class PlayedEvents:
    """The events that were played, from the oldest that the ring still has on."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._next_index = max(0, shared.reader.read().read_index - HISTORY_SLOTS)

    def poll(self) -> list[Event] | None:
        """Return the events played since the last call, in order; None if some were missed.

        Called every few seconds, it misses none.
        """
        end = self._shared.reader.read().read_index
        start, self._next_index = self._next_index, end
        found = [read_slot(self._shared, index) for index in range(start, end)]
        events = [event for event in found if event is not None]
        return events if len(events) == len(found) else None
