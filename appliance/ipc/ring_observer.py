"""Looks on as the ring is written, played and written anew; takes nothing, and is never waited for.

What :meth:`RingObserver.look` tells is enough to draw the music: the events since the last look, and
from which tick on what was told before no longer holds, because the composer cut it off.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from appliance.ipc.ring import HISTORY_SLOTS, events_before, read_slot
from appliance.ipc.shared_state import SharedState
from appliance.music.events import AS_WRITTEN_PERMILLE, Event, Kind

KEPT_EVENTS: Final = 2048
"""How many a follower keeps for those who come later."""


class RingUpdate(NamedTuple):
    """What happened between two looks."""

    cut_tick: int | None
    """Forget the events at and after this tick; None: nothing was written anew."""
    events: list[Event]
    """The new ones, in their order."""
    horizon_tick: int
    """Before this tick nothing will be added."""


class Note(NamedTuple):
    """One note of a voice; times in ticks."""

    voice: int
    pitch: int
    start_tick: int
    end_tick: int | None
    """None while it is not composed yet."""
    velocity: int


class RingObserver:
    """Follows the ring of ``shared``."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self.events: list[Event] = []
        """The newest that hold, at most some :data:`KEPT_EVENTS`."""
        self.horizon_tick = 0
        """Every event before this tick is composed."""
        self._next = 0
        """The slot after the last of :attr:`events`."""
        self._epoch = 0
        self._taken = 0
        """Slots before this one had been played at the last look: they hold for ever."""
        self._begin()

    def look(self) -> RingUpdate:
        """What is new since the last look; some hundred microseconds at most."""
        head, tail = self._shared.writer.read(), self._shared.reader.read()
        limit, horizon_tick = head.write_index, head.horizon_tick
        if head.epoch != tail.accepted_epoch:
            # Cut, and the composer has not moved yet: only what is before the cut counts.
            limit, horizon_tick = min(limit, tail.accepted_index), tail.accepted_tick
        if limit - self._next > HISTORY_SLOTS:
            # Whoever looks on was away for long (a machine that slept): all anew.
            self._begin()
            return RingUpdate(0, list(self.events), self.horizon_tick)
        cut_tick = None
        if tail.accepted_epoch != self._epoch:
            cut_tick = self._drop_what_changed(limit)
        new = self._read(self._next, limit)
        self.events += new
        self._next += len(new)
        self._epoch, self._taken = tail.accepted_epoch, tail.read_index
        if self._next == limit:
            self.horizon_tick = horizon_tick
        if len(self.events) > 2 * KEPT_EVENTS:
            del self.events[:-KEPT_EVENTS]
        return RingUpdate(cut_tick, new, self.horizon_tick)

    def pace_permille(self, tick: float) -> int:
        """The pace of the music at ``tick``, see :attr:`Kind.PACE`."""
        for event in reversed(self.events):
            if event.kind is Kind.PACE and event.tick <= tick:
                return event.value
        return AS_WRITTEN_PERMILLE

    def since(self, tick: float) -> list[Event]:
        """The music from ``tick`` on, led by what it needs: the piece and the notes held then."""
        lead: dict[object, Event] = {}
        later = []
        for event in self.events:
            if event.kind is Kind.TOKENS:
                continue
            if event.tick >= tick:
                later.append(event)
            elif event.kind is Kind.NOTE_OFF:
                lead.pop((event.voice, event.pitch), None)
            elif event.kind is Kind.NOTE_ON:
                lead[event.voice, event.pitch] = event
            else:
                lead[event.kind] = event
        return sorted(lead.values(), key=lambda event: event.tick) + later

    def _begin(self) -> None:
        tail = self._shared.reader.read()
        head = self._shared.writer.read()
        limit = head.write_index
        if head.epoch != tail.accepted_epoch:
            limit = min(limit, tail.accepted_index)
        self.events = events_before(self._shared, limit)[-KEPT_EVENTS:]
        self._next = limit
        self._epoch, self._taken = tail.accepted_epoch, tail.read_index
        self.horizon_tick = head.horizon_tick

    def _drop_what_changed(self, limit: int) -> int | None:
        """After a cut: drop what no longer holds, and all of its tick and later; that tick."""
        first = self._next - len(self.events)
        at = max(first, min(self._taken, self._next))
        changed: Event | None = None
        while at < min(limit, self._next):
            changed = read_slot(self._shared, at)
            if changed != self.events[at - first]:
                break
            at += 1
        if at == self._next:
            return None
        cut_tick = self.events[at - first].tick
        if at < limit and changed is not None:
            cut_tick = min(cut_tick, changed.tick)
        while at > first and self.events[at - first - 1].tick >= cut_tick:
            at -= 1
        del self.events[at - first :]
        self._next = at
        return cut_tick

    def _read(self, start: int, limit: int) -> list[Event]:
        found: list[Event] = []
        for index in range(start, limit):
            event = read_slot(self._shared, index)
            if event is None:
                break
            found.append(event)
        return found


def notes_of(events: list[Event]) -> list[Note]:
    """The notes that ``events`` (in their order) spell, by their beginnings."""
    notes: list[Note] = []
    open_notes: dict[tuple[int, int], int] = {}
    for event in events:
        where = (event.voice, event.pitch)
        if event.kind is Kind.NOTE_ON:
            open_notes[where] = len(notes)
            notes.append(Note(event.voice, event.pitch, event.tick, None, event.velocity))
        elif event.kind is Kind.NOTE_OFF and where in open_notes:
            at = open_notes.pop(where)
            notes[at] = notes[at]._replace(end_tick=event.tick)
    return notes
