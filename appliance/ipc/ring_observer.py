"""Watches the ring while it is written, played and rewound, without taking part.

What :meth:`RingObserver.poll` returns is enough to draw the music: the events since the last call,
and the tick from which on earlier events are void because the composer rewound the ring.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from appliance.ipc.ring import HISTORY_SLOTS, events_before
from appliance.ipc.ring_slots import read_slot
from appliance.ipc.shared_state import SharedState
from appliance.music.events import FULL_TEMPO_PERMILLE, Event, NoteOff, NoteOn, TempoFactor, Tokens
from appliance.music.notes import paired

MAX_KEPT_EVENTS: Final = 2048
"""How many events an observer keeps for viewers that join later."""


class RingUpdate(NamedTuple):
    """What has happened between two calls of :meth:`RingObserver.poll`."""

    rewind_tick: int | None
    """Discard the events at and after this tick; None: the ring was not rewound."""
    events: list[Event]
    """The new events, in their order."""
    horizon_tick: int
    """No event before this tick will be added."""


class Note(NamedTuple):
    """One note of a voice; times in ticks."""

    voice: int
    pitch: int
    start_tick: int
    end_tick: int | None
    """None while the end is not composed yet."""
    velocity: int


class RingObserver:
    """Follows the ring of ``shared``."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self.events: list[Event] = []
        """The newest valid events, at most about :data:`MAX_KEPT_EVENTS`."""
        self.horizon_tick = 0
        """Every event before this tick is composed."""
        self._next_index = 0
        """The slot after the last of :attr:`events`."""
        self._epoch = 0
        self._played_index = 0
        """Slots before this one had been played at the last poll: they can no longer change."""
        self._start_over()

    def poll(self) -> RingUpdate:
        """Return what is new since the last call; takes a few hundred microseconds at most."""
        writer, reader = self._shared.writer.read(), self._shared.reader.read()
        limit, horizon_tick = writer.write_index, writer.horizon_tick
        if writer.epoch != reader.accepted_epoch:
            # Rewound, and the composer has not moved yet: only what is before the cut is valid.
            limit, horizon_tick = min(limit, reader.accepted_index), reader.accepted_tick
        if limit - self._next_index > HISTORY_SLOTS:
            # The observer was away for too long (a machine that slept).
            self._start_over()
            return RingUpdate(0, list(self.events), self.horizon_tick)
        rewind_tick = None
        if reader.accepted_epoch != self._epoch:
            rewind_tick = self._drop_void_events(limit)
        new = self._read(self._next_index, limit)
        self.events += new
        self._next_index += len(new)
        self._epoch, self._played_index = reader.accepted_epoch, reader.read_index
        if self._next_index == limit:
            self.horizon_tick = horizon_tick
        if len(self.events) > 2 * MAX_KEPT_EVENTS:
            del self.events[:-MAX_KEPT_EVENTS]
        return RingUpdate(rewind_tick, new, self.horizon_tick)

    def tempo_factor_permille(self, tick: float) -> int:
        """Return the tempo factor of the music at ``tick``, in thousandths."""
        for event in reversed(self.events):
            if isinstance(event, TempoFactor) and event.tick <= tick:
                return event.permille
        return FULL_TEMPO_PERMILLE

    def since(self, tick: float) -> list[Event]:
        """Return the music from ``tick`` on, preceded by the state that applies there.

        In front are the piece, the tempo factor and the notes that are held at ``tick``. Tokens
        are left out.
        """
        in_force: dict[object, Event] = {}
        later: list[Event] = []
        for event in self.events:
            if isinstance(event, Tokens):
                continue
            if event.tick >= tick:
                later.append(event)
            elif isinstance(event, NoteOff):
                in_force.pop((event.voice, event.pitch), None)
            elif isinstance(event, NoteOn):
                in_force[event.voice, event.pitch] = event
            else:
                in_force[type(event)] = event
        return sorted(in_force.values(), key=lambda event: event.tick) + later

    def _start_over(self) -> None:
        reader = self._shared.reader.read()
        writer = self._shared.writer.read()
        limit = writer.write_index
        if writer.epoch != reader.accepted_epoch:
            limit = min(limit, reader.accepted_index)
        self.events = events_before(self._shared, limit)[-MAX_KEPT_EVENTS:]
        self._next_index = limit
        self._epoch, self._played_index = reader.accepted_epoch, reader.read_index
        self.horizon_tick = writer.horizon_tick

    def _drop_void_events(self, limit: int) -> int | None:
        """After a rewind: drop the first event that has changed and all at or after its tick.

        Returns:
            That tick; None where nothing has changed.
        """
        first = self._next_index - len(self.events)
        at = max(first, min(self._played_index, self._next_index))
        changed: Event | None = None
        while at < min(limit, self._next_index):
            changed = read_slot(self._shared, at)
            if changed != self.events[at - first]:
                break
            at += 1
        if at == self._next_index:
            return None
        rewind_tick = self.events[at - first].tick
        if at < limit and changed is not None:
            rewind_tick = min(rewind_tick, changed.tick)
        while at > first and self.events[at - first - 1].tick >= rewind_tick:
            at -= 1
        del self.events[at - first :]
        self._next_index = at
        return rewind_tick

    def _read(self, start: int, limit: int) -> list[Event]:
        found: list[Event] = []
        for index in range(start, limit):
            event = read_slot(self._shared, index)
            if event is None:
                break
            found.append(event)
        return found


def notes_of(events: list[Event]) -> list[Note]:
    """Return the notes that ``events`` (in their order) contain, sorted by their beginnings."""
    return [
        Note(start.voice, start.pitch, start.tick, end.tick if end else None, start.velocity)
        for start, end in paired(events)
    ]
