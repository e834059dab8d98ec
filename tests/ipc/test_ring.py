"""The ring: what is read is what was written, in order, whatever is rewound, torn or killed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from appliance.ipc.ring import (
    HISTORY_SLOTS,
    RingReader,
    RingWriter,
    events_before,
    last_piece,
)
from appliance.ipc.ring_slots import write_slot
from appliance.ipc.shared_state import SLOT_BYTES, SLOT_COUNT, ReaderState, SharedState, WriterState
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor, Tokens

_gaps = st.integers(0, 200)


def event_at(tick: int, kind: str, number: int) -> Event:
    """An event of a kind, with fields that follow from a number below 128."""
    match kind:
        case "note_on":
            return NoteOn(tick, number % 16, number, 127 - number)
        case "note_off":
            return NoteOff(tick, number % 16, number, number, 2 * number)
        case "tempo_factor":
            return TempoFactor(tick, 1000 + number)
        case "tokens":
            return Tokens(tick, bytes(range(number % 9)))
        case _:
            return PieceStart(tick, 1000 * number, number % 12, number % 2 == 0, 4, number, 480)


class RingMachine(RuleBasedStateMachine):
    """A composer and a performer, each with its own mapping of the memory, and a model.

    ``timeline`` is the valid music: what was written, without what an accepted rewind removed.
    The first ``published`` of its events were published, with ``horizon``.
    """

    @initialize(base=st.sampled_from([0, SLOT_COUNT - 5, 7 * SLOT_COUNT + 1]))
    def begin(self, base: int) -> None:
        self.shared = SharedState.create()
        # Some runs begin long after the start, in slots that were used before.
        self.base = base
        self.shared.writer.write(WriterState(0, base, 0))
        self.shared.reader.write(ReaderState(read_index=base))
        for index in range(max(base, SLOT_COUNT), base + 300 if base else 0):
            write_slot(self.shared, index - SLOT_COUNT, 0, NoteOn(0, 1, 2, 3))
        self.writer = RingWriter(self._attach())
        self.reader = RingReader(self._attach())
        self.timeline: list[Event] = []
        self.published = 0
        self.horizon = 0
        self.playhead = 0.0
        self.read: list[Event] = []
        self.read_reported = 0
        self.rewind: tuple[int, int] | None = None
        self.hidden: tuple[int, bytes] | None = None
        self.overwritten: dict[int, bytes] = {}

    def teardown(self) -> None:
        if hasattr(self, "shared"):
            self.shared.close()

    def _attach(self) -> SharedState:
        return SharedState.attach(self.shared.fd)

    def _writer_is_free(self) -> bool:
        return not self.writer.rewind_pending

    @precondition(_writer_is_free)
    @rule(
        gap=_gaps,
        kind=st.sampled_from(["note_on", "note_off", "tempo_factor", "piece_start", "tokens"]),
        number=st.integers(0, 127),
    )
    def append(self, gap: int, kind: str, number: int) -> None:
        if self.writer.room() <= 0:
            return
        tick = self.writer.horizon_tick + gap
        event = event_at(tick, kind, number)
        offset = self.shared.slot_offset_bytes(self.base + len(self.timeline))
        self.overwritten[offset] = self.shared.memory[offset : offset + SLOT_BYTES]
        index = self.writer.append(event)
        assert index == self.base + len(self.timeline)
        self.timeline.append(event)

    @precondition(_writer_is_free)
    @rule(gap=st.integers(0, 300))
    def publish(self, gap: int) -> None:
        self.horizon = self.writer.horizon_tick + gap
        self.writer.publish(self.horizon)
        self.published = len(self.timeline)

    @precondition(_writer_is_free)
    @rule(gaps=st.lists(_gaps, min_size=1, max_size=12), to_horizon=_gaps)
    def compose(self, gaps: list[int], to_horizon: int) -> None:
        for gap in gaps:
            self.append(gap, "note_on", gap % 128)
        self.publish(to_horizon)

    @precondition(lambda self: self._writer_is_free() and self.rewind is None)
    @rule(events_ahead=st.integers(-2, 8))
    def request_rewind(self, events_ahead: int) -> None:
        index = min(max(0, len(self.read) + events_ahead), self.published)
        while 0 < index < self.published and (
            self.timeline[index - 1].tick == self.timeline[index].tick
        ):
            index += 1
        tick = self.timeline[index].tick if index < self.published else self.horizon
        # What was appended and not published is given up with the rewind.
        del self.timeline[self.published :]
        self.writer.request_rewind(self.base + index, tick)
        self.rewind = (index, tick)

    @rule()
    def poll_answer(self) -> None:
        pending = self.writer.rewind_pending
        answer = self.writer.rewind_answer()
        if pending and self.rewind is None:
            assert answer is not None
        if answer is False:
            # Refused: the unpublished ones that the model dropped are dropped here too.
            self.writer = RingWriter(self._attach())
        if answer is not None:
            assert self.writer.write_index == self.base + len(self.timeline)

    @rule(advance=st.floats(0.0, 50.0))
    def refresh(self, advance: float) -> None:
        self.playhead += max(0.0, min(advance, self.reader.horizon_tick - self.playhead))
        self.reader.refresh(self.playhead)
        self.read_reported = len(self.read)
        if self.rewind is None:
            return
        index, tick = self.rewind
        self.rewind = None
        accepted = self.shared.reader.read().accepted
        assert accepted == (len(self.read) <= index and self.playhead < tick)
        if accepted:
            del self.timeline[index:]
            self.published, self.horizon = index, tick

    @rule(count=st.integers(1, 6))
    def pop(self, count: int) -> None:
        for _ in range(count):
            event = self.reader.peek()
            if event is None:
                break
            assert self.reader.read_index == self.base + len(self.read)
            assert len(self.read) < self.published, "an event that was not published"
            assert event == self.timeline[len(self.read)]
            assert not self.read or event.tick >= self.read[-1].tick
            self.reader.pop()
            self.read.append(event)

    @rule()
    def pop_to_the_horizon(self) -> None:
        horizon = self.reader.horizon_tick
        while (event := self.reader.peek()) is not None and event.tick < horizon:
            self.pop(1)
        due = sum(event.tick < horizon for event in self.timeline[: self.published])
        assert len(self.read) >= due, "the horizon promised an event that is not there"

    @rule(torn=st.binary(min_size=1, max_size=SLOT_BYTES), in_a_value=st.booleans())
    def kill_writer(self, torn: bytes, in_a_value: bool) -> None:
        # It may have died in the middle of a slot, or of publishing its progress.
        offset = self.shared.slot_offset_bytes(self.writer.write_index)
        if self.writer.room() > 0 and not self.writer.rewind_pending:
            self.shared.memory[offset : offset + len(torn)] = torn
        if in_a_value:
            head = self.writer._shared.writer
            head.read()
            older = head._offset + ((head._serial + 1) % 2) * head._copy_bytes
            size = min(len(torn), head._copy_bytes)
            self.shared.memory[older : older + size] = torn[:size]
        del self.timeline[self.published :]
        self.writer = RingWriter(self._attach())
        if self.rewind is None:
            assert self.writer.write_index == self.base + len(self.timeline)
            assert not self.writer.rewind_pending
        else:
            assert self.writer.rewind_pending

    @rule()
    def kill_reader(self) -> None:
        # What it took in the block in which it died is taken again by the next.
        self.reader = RingReader(self._attach())
        del self.read[self.read_reported :]
        assert self.reader.read_index == self.base + len(self.read)

    @precondition(lambda self: self.hidden is None and len(self.read) < self.published)
    @rule(data=st.data())
    def hide_a_slot(self, data: st.DataObject) -> None:
        """Some bytes of a slot have not become visible to the reader's core."""
        index = data.draw(st.integers(len(self.read), self.published - 1))
        offset = self.shared.slot_offset_bytes(self.base + index)
        new, old = self.shared.memory[offset : offset + SLOT_BYTES], self.overwritten[offset]
        visible = data.draw(st.sets(st.integers(0, SLOT_BYTES - 1), max_size=SLOT_BYTES - 1))
        partly = bytes(new[at] if at in visible else old[at] for at in range(SLOT_BYTES))
        self.hidden = (offset, new)
        self.shown = partly
        self.shared.memory[offset : offset + SLOT_BYTES] = partly

    @precondition(lambda self: self.hidden is not None)
    @rule()
    def show_the_slot(self) -> None:
        assert self.hidden is not None
        offset, content = self.hidden
        # Unless it has been written over meanwhile, which shows it as well.
        current = self.shared.memory[offset : offset + SLOT_BYTES]
        if current == self.shown:
            self.shared.memory[offset : offset + SLOT_BYTES] = content
        self.hidden = None

    @precondition(lambda self: self.hidden is None)
    @rule()
    def look_back(self) -> None:
        kept = events_before(self.shared, self.base + len(self.read))
        assert kept == self.read


TestRing = RingMachine.TestCase
TestRing.settings = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _ring() -> tuple[SharedState, RingWriter, RingReader]:
    shared = SharedState.create()
    return shared, RingWriter(shared), RingReader(shared)


def test_nothing_is_read_before_it_is_published() -> None:
    _, writer, reader = _ring()
    writer.append(NoteOn(0, 0, 60, 80))
    reader.refresh(0.0)
    assert reader.peek() is None
    writer.publish(120)
    reader.refresh(0.0)
    assert reader.peek() == NoteOn(0, 0, 60, 80)
    assert reader.horizon_tick == 120


def test_a_rewind_replaces_what_has_not_been_played() -> None:
    _, writer, reader = _ring()
    for tick in range(0, 1000, 100):
        writer.append(NoteOn(tick, 0, 60, 80))
    writer.publish(1000)
    reader.refresh(250.0)
    for _ in range(3):
        reader.pop()
    assert writer.request_rewind(5, 500) == 1
    assert writer.rewind_answer() is None
    reader.refresh(260.0)
    assert reader.horizon_tick == 500, (
        "until the composer continues, the music is certain up to 500"
    )
    assert writer.rewind_answer() is True
    writer.append(NoteOn(510, 0, 72, 80))
    writer.publish(600)
    reader.refresh(270.0)
    rest = []
    while (event := reader.peek()) is not None:
        rest.append(event)
        reader.pop()
    assert [event.tick for event in rest] == [300, 400, 510]
    assert reader.horizon_tick == 600


def test_a_rewind_that_comes_too_late_is_refused() -> None:
    _, writer, reader = _ring()
    for tick in range(0, 1000, 100):
        writer.append(NoteOn(tick, 0, 60, 80))
    writer.publish(1000)
    reader.refresh(0.0)
    for _ in range(6):
        reader.pop()
    writer.request_rewind(5, 500)
    reader.refresh(530.0)
    assert writer.rewind_answer() is False
    writer.append(NoteOn(1000, 0, 61, 80))
    writer.publish(1100)
    reader.refresh(531.0)
    rest = []
    while (event := reader.peek()) is not None:
        rest.append(event.tick)
        reader.pop()
    assert rest == [600, 700, 800, 900, 1000]


def test_after_a_rewind_a_slot_not_yet_visible_holds_the_music_there() -> None:
    shared, writer, reader = _ring()
    for tick in range(0, 1000, 100):
        writer.append(NoteOn(tick, 0, 60, 80))
    writer.publish(1000)
    reader.refresh(0.0)
    writer.request_rewind(5, 500)
    reader.refresh(1.0)
    assert writer.rewind_answer() is True
    old_slot = shared.slot_offset_bytes(5)
    old = shared.memory[old_slot : old_slot + SLOT_BYTES]
    writer.append(NoteOn(550, 0, 72, 80))
    writer.publish(2000)
    new = shared.memory[old_slot : old_slot + SLOT_BYTES]
    shared.memory[old_slot : old_slot + SLOT_BYTES] = old
    reader.refresh(2.0)
    assert reader.horizon_tick == 500
    shared.memory[old_slot : old_slot + SLOT_BYTES] = new
    reader.refresh(3.0)
    assert reader.horizon_tick == 2000


def test_room_counts_the_free_slots() -> None:
    _, writer, reader = _ring()
    assert writer.room() == SLOT_COUNT // 2, "the other half is kept as history"
    for count in range(HISTORY_SLOTS):
        assert writer.room() == HISTORY_SLOTS - count
        writer.append(NoteOn(count, 0, 60, 80))
    assert writer.room() == 0
    with pytest.raises(ValueError, match="full"):
        writer.append(NoteOn(9999, 0, 60, 80))
    writer.publish(9999)
    reader.refresh(0.0)
    for _ in range(10):
        reader.pop()
    reader.refresh(1.0)
    assert writer.room() == 10


def test_events_out_of_order_are_refused() -> None:
    _, writer, _ = _ring()
    writer.publish(100)
    with pytest.raises(ValueError, match="before tick 100"):
        writer.append(NoteOn(99, 0, 60, 80))
    with pytest.raises(ValueError, match="before tick 100"):
        writer.publish(99)
    with pytest.raises(ValueError, match="nothing is written"):
        writer.request_rewind(1, 50)


def test_last_piece_begins_with_its_start() -> None:
    shared, writer, _ = _ring()
    first = Piece(1, 0, False, 4, 0, 0)
    second = Piece(2, 7, True, 3, 480, 1000)
    for event in (
        PieceStart.of(first),
        NoteOn(0, 0, 60, 80),
        NoteOff(900, 0, 60),
        PieceStart.of(second),
        NoteOn(1000, 0, 67, 80),
    ):
        writer.append(event)
    assert last_piece(shared) == [], "nothing has been published"
    writer.publish(1100)
    assert [event.tick for event in last_piece(shared)] == [1000, 1000]


def test_a_writer_that_died_between_answer_and_use_is_replaced_at_the_rewind() -> None:
    shared, writer, reader = _ring()
    for tick in range(0, 500, 100):
        writer.append(NoteOn(tick, 0, 60, 80))
    writer.publish(500)
    reader.refresh(0.0)
    writer.request_rewind(2, 200)
    reader.refresh(1.0)
    # The writer dies here, with a True waiting for it.
    successor = RingWriter(shared)
    assert (successor.write_index, successor.horizon_tick) == (2, 200)
    assert not successor.rewind_pending
    successor.append(NoteOn(200, 0, 72, 80))
    successor.publish(300)
    reader.refresh(2.0)
    pitches = []
    while (event := reader.peek()) is not None:
        assert isinstance(event, NoteOn)
        pitches.append(event.pitch)
        reader.pop()
    assert pitches == [60, 60, 72]


def test_what_a_writer_appended_and_did_not_publish_dies_with_it() -> None:
    """Or its successor's slots, not visible to a core yet, would be taken for the old ones."""
    shared, writer, _ = _ring()
    writer.append(NoteOn(0, 0, 60, 80))
    writer.publish(100)
    for tick in (100, 200):
        writer.append(NoteOn(tick, 0, 72, 80))
    successor = RingWriter(shared)
    assert successor.write_index == 1
    assert events_before(shared, 1) == [NoteOn(0, 0, 60, 80)]
    assert (events_before(shared, 2), events_before(shared, 3)) == ([], [])
