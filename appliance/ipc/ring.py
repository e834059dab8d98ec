"""The ring of events between one composer and one performer, and how it is rewound.

The composer appends events and publishes a *horizon*: before that tick nothing will be added
any more. The performer takes events up to it. Slots once taken stay readable until they are
overwritten, and the writer keeps half of the ring as such history, so that a process that was
killed and started again finds the music that led to where it stands.

To change its mind about what has been written but not yet played, the composer asks for a
*cut*: "from slot i, tick t on I write anew". The performer alone decides, at the start of a
block, when nothing at or after the cut has been taken: no race can then play half of the old
and half of the new. Each request has a serial number; an accepted one becomes the *epoch* with
which the slots after the cut have to be marked, so that the old ones no longer count.

A slot is 32 bytes: lap (index // slots) and epoch, the event, and a CRC-32. A slot that is
torn, or not yet visible to this core, is not there yet: the reader waits before it.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Final

from appliance.ipc.shared_state import (
    SLOT_BYTES,
    SLOT_COUNT,
    ReaderState,
    RewindRequest,
    SharedState,
    WriterState,
)
from appliance.music.events import Event, Kind

HISTORY_SLOTS: Final = SLOT_COUNT // 2
"""Slots that stay readable after they were taken."""

_SLOT = struct.Struct("<IIQBBBBii")
_CRC = struct.Struct("<I")


class RingWriter:
    """The composer's end. Programming errors (events out of order) raise ValueError.

    One made anew goes on where a writer that died left off; a cut that that one had asked for
    may still be open, see :attr:`cut_pending`.
    """

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        head = shared.writer.read()
        self._epoch = head.epoch
        self._index = head.write_index
        self._floor_tick = head.horizon_tick
        self._asked = shared.rewind_request.read()
        self._pending = self._asked.epoch > shared.reader.read().epoch
        if not self._pending and self._asked.epoch > self._epoch:
            # Answered, and the writer before us died before it took the answer up.
            self._take_answer(shared.reader.read())
        # What it had appended and not handed over must not be mistaken for ours.
        for index in range(self._index, self._index + HISTORY_SLOTS):
            if read_slot(shared, index) is None:
                break
            offset = shared.slot_offset(index)
            shared.memory[offset : offset + SLOT_BYTES] = bytes(SLOT_BYTES)

    @property
    def write_index(self) -> int:
        """Index that the next event will have."""
        return self._index

    @property
    def horizon_tick(self) -> int:
        """No event before this tick may be appended any more."""
        return self._floor_tick

    @property
    def cut_pending(self) -> bool:
        """A cut has been asked for and :meth:`cut_answer` has not given the answer yet."""
        return self._pending

    def room(self) -> int:
        """Events that can be appended now without touching unread ones or the history."""
        unread = self._index - self._shared.reader.read().read_index
        return SLOT_COUNT - HISTORY_SLOTS - unread

    def append(self, event: Event) -> int:
        """Write one event and return its index; it is read only after :meth:`publish`."""
        if self._pending:
            raise ValueError("a cut is pending: wait for its answer before appending")
        if event.tick < self._floor_tick:
            raise ValueError(f"{event} comes before tick {self._floor_tick}, already written")
        if self.room() <= 0:
            raise ValueError("the ring is full")
        write_slot(self._shared, self._index, self._epoch, event)
        self._floor_tick = event.tick
        self._index += 1
        return self._index - 1

    def publish(self, horizon_tick: int) -> None:
        """Hand over what was appended: every event before ``horizon_tick`` is written."""
        if horizon_tick < self._floor_tick:
            raise ValueError(f"horizon {horizon_tick} lies before tick {self._floor_tick}")
        self._floor_tick = horizon_tick
        self._shared.writer.write(WriterState(self._epoch, self._index, horizon_tick))

    def request_cut(self, index: int, tick: int) -> int:
        """Ask to write anew from slot ``index`` and ``tick`` on; returns the request's number.

        All published events before ``tick`` must lie before ``index``, and all others not.
        """
        if self._pending:
            raise ValueError("a cut is pending already")
        if index > self._index or tick > self._floor_tick:
            raise ValueError(f"nothing is written at slot {index}, tick {tick} yet")
        self._asked = RewindRequest(self._asked.epoch + 1, index, tick)
        self._pending = True
        self._shared.rewind_request.write(self._asked)
        return self._asked.epoch

    def cut_answer(self) -> bool | None:
        """None while the performer has not answered; after True, write on from the cut."""
        if not self._pending:
            return None
        tail = self._shared.reader.read()
        if tail.epoch != self._asked.epoch:
            return None
        return self._take_answer(tail)

    def _take_answer(self, tail: ReaderState) -> bool:
        self._pending = False
        if tail.accepted:
            self._epoch, self._index, self._floor_tick = self._asked
            self._shared.writer.write(WriterState(self._epoch, self._index, self._floor_tick))
        return tail.accepted


class RingReader:
    """The performer's end; one made anew goes on where the one before stopped."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._tail = shared.reader.read()
        self._index = self._seen = self._tail.read_index
        self._events: deque[Event] = deque()
        self._safe_tick = 0
        self._horizon_tick = 0
        self._look()

    @property
    def read_index(self) -> int:
        """Index of the next event."""
        return self._index

    @property
    def playhead_tick(self) -> float:
        """Where the music was at the last :meth:`refresh`, this reader's or the one before."""
        return self._tail.playhead_tick

    @property
    def horizon_tick(self) -> int:
        """Every event before this tick can be taken; fixed until the next :meth:`refresh`."""
        return self._horizon_tick

    def peek(self) -> Event | None:
        """The next event, or None while there is none."""
        return self._events[0] if self._events else None

    def pop(self) -> None:
        """Take the event that :meth:`peek` shows."""
        self._events.popleft()
        self._index += 1

    def ahead(self) -> Iterable[Event]:
        """All that is written and not taken."""
        return self._events

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Once a block: answer a cut, say how far we are, and see what is new.

        A cut that is no further than ``near_ticks`` is refused: its writer could come too late.
        """
        cut, tail = self._shared.rewind_request.read(), self._tail
        if cut.epoch > tail.epoch:
            accepted = self._index <= cut.from_index and playhead_tick + near_ticks < cut.from_tick
            tail = tail._replace(epoch=cut.epoch, accepted=accepted)
            if accepted:
                tail = tail._replace(
                    accepted_epoch=cut.epoch,
                    accepted_index=cut.from_index,
                    accepted_tick=cut.from_tick,
                )
                while self._seen > cut.from_index:
                    self._events.pop()
                    self._seen -= 1
                self._safe_tick = min(self._safe_tick, cut.from_tick)
        self._tail = tail._replace(read_index=self._index, playhead_tick=playhead_tick)
        self._shared.reader.write(self._tail)
        self._look()

    def _look(self) -> None:
        head, tail = self._shared.writer.read(), self._tail
        limit, horizon_tick = head.write_index, head.horizon_tick
        if head.epoch != tail.accepted_epoch:
            # Accepted, but the writer has not moved yet: what is before the cut still counts.
            limit, horizon_tick = tail.accepted_index, tail.accepted_tick
        while self._seen < limit:
            epoch = tail.accepted_epoch if self._seen >= tail.accepted_index else None
            event = read_slot(self._shared, self._seen, epoch)
            if event is None:
                # Published, yet not visible here: until it is, only what came before is sure.
                horizon_tick = min(horizon_tick, self._safe_tick)
                break
            self._events.append(event)
            self._seen += 1
            self._safe_tick = event.tick
        self._horizon_tick = horizon_tick


def write_slot(shared: SharedState, index: int, epoch: int, event: Event) -> None:
    """Put ``event`` into the slot of ``index``."""
    body = _SLOT.pack(index // SLOT_COUNT, epoch, *event)
    offset = shared.slot_offset(index)
    shared.memory[offset : offset + SLOT_BYTES] = body + _CRC.pack(zlib.crc32(body))


def read_slot(shared: SharedState, index: int, epoch: int | None = None) -> Event | None:
    """The event of ``index``, or None where its slot holds another, an old or a torn one."""
    offset = shared.slot_offset(index)
    raw = shared.memory[offset : offset + SLOT_BYTES]
    lap, slot_epoch, tick, kind, *rest = _SLOT.unpack_from(raw)
    if lap != index // SLOT_COUNT or (epoch is not None and slot_epoch != epoch):
        return None
    if zlib.crc32(raw[: _SLOT.size]) != _CRC.unpack_from(raw, _SLOT.size)[0]:
        return None
    return Event(tick, Kind(kind), *rest)


def events_before(shared: SharedState, index: int) -> list[Event]:
    """The events that lead up to slot ``index``, as far back as the ring has them."""
    found: deque[Event] = deque()
    for at in range(index - 1, max(0, index - SLOT_COUNT) - 1, -1):
        event = read_slot(shared, at)
        if event is None:
            break
        found.appendleft(event)
    return list(found)


def history(shared: SharedState, from_tick: int | None = None) -> list[Event]:
    """What has been composed, from the beginning of a piece on.

    The piece is the newest that begins at or before ``from_tick`` (the newest of all where
    that is None); where its beginning is no longer in the ring, all that is still there.
    """
    events = events_before(shared, shared.writer.read().write_index)
    for at in range(len(events) - 1, -1, -1):
        if events[at].kind is Kind.PIECE and (from_tick is None or events[at].tick <= from_tick):
            return events[at:]
    return events
