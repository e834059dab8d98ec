"""The ring of events between one composer and one performer, and how it is rewound.

The composer appends events and publishes a *horizon*: no event before that tick will be added any
more. The performer takes events up to the horizon. Slots that were taken stay readable until they
are overwritten, and the writer keeps half of the ring as such history. So a process that was
killed and started again finds the music that led up to its position.

To replace what has been written but not yet played, the composer requests a *rewind*: "I shall
write again from slot i and tick t on". The performer alone decides, at the start of a block, when
it has taken nothing at or after that place. No race can therefore play half of the old music and
half of the new. Each request has a serial number. That of an accepted request becomes the *epoch*
of the slots written after it, so that the old slots are no longer valid.

A slot that is torn, or not yet visible to this core, counts as not written yet: the reader waits
before it. :mod:`appliance.ipc.ring_slots` has the layout.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from appliance.ipc.ring_slots import read_slot, write_slot
from appliance.ipc.shared_state import (
    SLOT_BYTES,
    SLOT_COUNT,
    ReaderState,
    RewindRequest,
    SharedState,
    WriterState,
)
from appliance.music.events import Event, PieceStart

HISTORY_SLOTS: Final = SLOT_COUNT // 2
"""How many slots stay readable after they were taken."""


class RingWriter:
    """The composer's end of the ring.

    A new writer continues where a writer that died left off. A rewind that the old one requested
    may still be pending, see :attr:`rewind_pending`.
    """

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        state = shared.writer.read()
        self._epoch = state.epoch
        self._index = state.write_index
        self._floor_tick = state.horizon_tick
        self._request = shared.rewind_request.read()
        self._pending = self._request.epoch > shared.reader.read().epoch
        if not self._pending and self._request.epoch > self._epoch:
            # The performer has answered, and the writer before us died before it saw the answer.
            self._handle_answer(shared.reader.read())
        # Events that it appended without publishing must not be mistaken for this writer's.
        for index in range(self._index, self._index + HISTORY_SLOTS):
            if read_slot(shared, index) is None:
                break
            offset = shared.slot_offset_bytes(index)
            shared.memory[offset : offset + SLOT_BYTES] = bytes(SLOT_BYTES)

    @property
    def write_index(self) -> int:
        """The index that the next event will have."""
        return self._index

    @property
    def horizon_tick(self) -> int:
        """The tick before which no event can be appended any more."""
        return self._floor_tick

    @property
    def rewind_pending(self) -> bool:
        """Whether a rewind was requested and :meth:`rewind_answer` has not returned an answer."""
        return self._pending

    def room(self) -> int:
        """Return how many events can be appended now without touching unread ones or history."""
        unread = self._index - self._shared.reader.read().read_index
        return SLOT_COUNT - HISTORY_SLOTS - unread

    def append(self, event: Event) -> int:
        """Write one event and return its index; the reader sees it after :meth:`publish`.

        Raises:
            ValueError: a rewind is pending, the event comes before one that is written, or the
                ring is full.
            struct.error: a field is too large for its place in the slot.
        """
        if self._pending:
            raise ValueError("a rewind is pending: wait for its answer before appending")
        if event.tick < self._floor_tick:
            raise ValueError(f"{event} comes before tick {self._floor_tick}, already written")
        if self.room() <= 0:
            raise ValueError("the ring is full")
        write_slot(self._shared, self._index, self._epoch, event)
        self._floor_tick = event.tick
        self._index += 1
        return self._index - 1

    def publish(self, horizon_tick: int) -> None:
        """Hand over what was appended: every event before ``horizon_tick`` is written.

        Raises:
            ValueError: an event at a later tick is written already.
        """
        if horizon_tick < self._floor_tick:
            raise ValueError(f"horizon {horizon_tick} lies before tick {self._floor_tick}")
        self._floor_tick = horizon_tick
        self._shared.writer.write(WriterState(self._epoch, self._index, horizon_tick))

    def request_rewind(self, index: int, tick: int) -> int:
        """Ask to write again from slot ``index`` and ``tick`` on; return the request's number.

        All published events before ``tick`` must lie before ``index``, and all others must not.

        Raises:
            ValueError: a rewind is pending already, or nothing is written there yet.
        """
        if self._pending:
            raise ValueError("a rewind is pending already")
        if index > self._index or tick > self._floor_tick:
            raise ValueError(f"nothing is written at slot {index}, tick {tick} yet")
        self._request = RewindRequest(self._request.epoch + 1, index, tick)
        self._pending = True
        self._shared.rewind_request.write(self._request)
        return self._request.epoch

    def rewind_answer(self) -> bool | None:
        """Return the performer's answer, once; None while there is none.

        After True, events can be appended from the place that was requested.
        """
        if not self._pending:
            return None
        state = self._shared.reader.read()
        if state.epoch != self._request.epoch:
            return None
        return self._handle_answer(state)

    def _handle_answer(self, state: ReaderState) -> bool:
        self._pending = False
        if state.accepted:
            self._epoch, self._index, self._floor_tick = self._request
            self._shared.writer.write(WriterState(self._epoch, self._index, self._floor_tick))
        return state.accepted


class RingReader:
    """The performer's end of the ring; a new reader continues where the last one stopped."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._state = shared.reader.read()
        self._index = self._seen_index = self._state.read_index
        self._events: deque[Event] = deque()
        self._safe_tick = 0
        """All events before this tick have been seen."""
        self._horizon_tick = 0
        self._poll()

    @property
    def read_index(self) -> int:
        """The index of the next event."""
        return self._index

    @property
    def playhead_tick(self) -> float:
        """Where the music was at the last :meth:`refresh`, by this reader or the one before."""
        return self._state.playhead_tick

    @property
    def horizon_tick(self) -> int:
        """Every event before this tick can be taken; fixed until the next :meth:`refresh`."""
        return self._horizon_tick

    def peek(self) -> Event | None:
        """Return the next event without taking it, or None if there is none."""
        return self._events[0] if self._events else None

    def pop(self) -> None:
        """Take the event that :meth:`peek` returns.

        Raises:
            IndexError: there is none.
        """
        self._events.popleft()
        self._index += 1

    def ahead(self) -> Iterable[Event]:
        """Return all events that are written and not taken."""
        return self._events

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Answer a rewind request, report the playhead, and fetch new events; once per block.

        Args:
            playhead_tick: where the music is.
            near_ticks: a rewind to less than this after the playhead is refused, because the new
                events could come too late.
        """
        request, state = self._shared.rewind_request.read(), self._state
        if request.epoch > state.epoch:
            accepted = (
                self._index <= request.from_index and playhead_tick + near_ticks < request.from_tick
            )
            state = state._replace(epoch=request.epoch, accepted=accepted)
            if accepted:
                state = state._replace(
                    accepted_epoch=request.epoch,
                    accepted_index=request.from_index,
                    accepted_tick=request.from_tick,
                )
                while self._seen_index > request.from_index:
                    self._events.pop()
                    self._seen_index -= 1
                self._safe_tick = min(self._safe_tick, request.from_tick)
        self._state = state._replace(read_index=self._index, playhead_tick=playhead_tick)
        self._shared.reader.write(self._state)
        self._poll()

    def _poll(self) -> None:
        writer, state = self._shared.writer.read(), self._state
        limit, horizon_tick = writer.write_index, writer.horizon_tick
        if writer.epoch != state.accepted_epoch:
            # Accepted, but the writer has not moved yet: only what is before the place is valid.
            limit, horizon_tick = state.accepted_index, state.accepted_tick
        while self._seen_index < limit:
            after_rewind = self._seen_index >= state.accepted_index
            epoch = state.accepted_epoch if after_rewind else None
            event = read_slot(self._shared, self._seen_index, epoch)
            if event is None:
                # Published, yet not visible here: until it is, only what came before is certain.
                horizon_tick = min(horizon_tick, self._safe_tick)
                break
            self._events.append(event)
            self._seen_index += 1
            self._safe_tick = event.tick
        self._horizon_tick = horizon_tick


def events_before(shared: SharedState, index: int) -> list[Event]:
    """Return the events before slot ``index`` that the ring still has, in order."""
    found: deque[Event] = deque()
    for at in range(index - 1, max(0, index - SLOT_COUNT) - 1, -1):
        event = read_slot(shared, at)
        if event is None:
            break
        found.appendleft(event)
    return list(found)


def last_piece(shared: SharedState) -> list[Event]:
    """Return the events from the newest :class:`PieceStart` on.

    If the ring no longer has the beginning of the piece, all events that are still there.
    """
    events = events_before(shared, shared.writer.read().write_index)
    for at in range(len(events) - 1, -1, -1):
        if isinstance(events[at], PieceStart):
            return events[at:]
    return events
