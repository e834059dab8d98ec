"""The edges of a rewind: what is near, asked again, or not yet visible when it is accepted."""

from __future__ import annotations

import pytest

from appliance.ipc.ring import RingReader, RingWriter, last_piece
from appliance.ipc.shared_state import SLOT_BYTES, SharedState
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart


class Ring:
    """A ring with a note every 100 ticks, at slots 0 to 9, published up to tick 1000."""

    def __init__(self) -> None:
        self.shared = SharedState.create()
        self.writer = RingWriter(self.shared)
        for tick in range(0, 1000, 100):
            self.writer.append(NoteOn(tick, 0, 60, 80))
        self.writer.publish(1000)

    def hide(self, index: int) -> bytes:
        """Make a slot look as if it were not written yet; what it held."""
        offset = self.shared.slot_offset_bytes(index)
        held = self.shared.memory[offset : offset + SLOT_BYTES]
        self.shared.memory[offset : offset + SLOT_BYTES] = bytes(SLOT_BYTES)
        return bytes(held)

    def show(self, index: int, held: bytes) -> None:
        offset = self.shared.slot_offset_bytes(index)
        self.shared.memory[offset : offset + SLOT_BYTES] = held


def taken(reader: RingReader, count: int = 1000) -> list[int]:
    """Take at most ``count`` events; their ticks."""
    ticks: list[int] = []
    while len(ticks) < count and (event := reader.peek()) is not None:
        ticks.append(event.tick)
        reader.pop()
    return ticks


@pytest.mark.parametrize(
    ("near_ticks", "accepted"), [(0.0, True), (99.0, True), (100.0, False), (101.0, False)]
)
def test_a_rewind_to_what_is_near_is_refused(near_ticks: float, accepted: bool) -> None:
    ring = Ring()
    reader = RingReader(ring.shared)
    ring.writer.request_rewind(5, 500)
    reader.refresh(400.0, near_ticks)
    assert ring.writer.rewind_answer() is accepted
    assert taken(reader) == list(range(0, 500 if accepted else 1000, 100))


def test_without_a_guard_the_very_next_tick_can_be_rewound() -> None:
    ring = Ring()
    reader = RingReader(ring.shared)
    ring.writer.request_rewind(5, 500)
    reader.refresh(499.5)
    assert ring.writer.rewind_answer() is True


def test_an_answer_stays_as_it_is_while_the_composer_has_not_seen_it() -> None:
    """Though by then the music has come to the place, where the request would be refused."""
    ring = Ring()
    reader = RingReader(ring.shared)
    reader.refresh(0.0)
    ring.writer.request_rewind(5, 500)
    reader.refresh(490.0)
    assert taken(reader) == [0, 100, 200, 300, 400]
    reader.refresh(510.0)
    reader.refresh(520.0)
    assert ring.writer.rewind_answer() is True
    ring.writer.append(NoteOn(530, 0, 72, 80))
    ring.writer.publish(600)
    reader.refresh(525.0)
    assert taken(reader) == [530]


def test_one_rewind_at_a_time() -> None:
    ring = Ring()
    ring.writer.request_rewind(5, 500)
    with pytest.raises(ValueError, match="a rewind is pending already"):
        ring.writer.request_rewind(4, 400)
    with pytest.raises(ValueError, match="a rewind is pending: wait for its answer"):
        ring.writer.append(NoteOn(1000, 0, 60, 80))


def test_a_slot_before_the_place_of_a_rewind_that_becomes_visible_later_is_played() -> None:
    """Its epoch is that of the music before the rewind."""
    ring = Ring()
    held = ring.hide(3)
    reader = RingReader(ring.shared)
    reader.refresh(0.0)
    ring.writer.request_rewind(5, 500)
    reader.refresh(1.0)
    assert ring.writer.rewind_answer() is True
    ring.show(3, held)
    reader.refresh(2.0)
    assert taken(reader) == [0, 100, 200, 300, 400]


def test_the_music_is_certain_up_to_the_last_visible_slot() -> None:
    ring = Ring()
    ring.hide(3)
    reader = RingReader(ring.shared)
    assert reader.horizon_tick == 200
    reader.refresh(0.0)
    assert reader.horizon_tick == 200


def test_where_no_slot_is_visible_nothing_is_certain() -> None:
    ring = Ring()
    ring.hide(0)
    assert RingReader(ring.shared).horizon_tick == 0


def test_the_playhead_is_reported_and_known_to_the_next_reader() -> None:
    ring = Ring()
    reader = RingReader(ring.shared)
    reader.refresh(123.5)
    taken(reader, 2)
    reader.refresh(150.25)
    assert reader.playhead_tick == 150.25
    successor = RingReader(ring.shared)
    assert (successor.playhead_tick, successor.read_index) == (150.25, 2)
    assert taken(successor) == list(range(200, 1000, 100))


@pytest.mark.parametrize("before", [[], [NoteOn(0, 0, 60, 80), NoteOff(100, 0, 60)]])
@pytest.mark.parametrize("after", [[], [NoteOn(100, 0, 67, 80)]])
def test_a_piece_that_has_just_begun_is_the_last_piece(
    before: list[Event], after: list[Event]
) -> None:
    shared = SharedState.create()
    writer = RingWriter(shared)
    start = PieceStart.of(Piece(1, 7, True, 3, 480, 100))
    for event in (*before, start, *after):
        writer.append(event)
    writer.publish(1000)
    assert last_piece(shared) == [start, *after]


def test_without_the_start_of_its_piece_the_music_that_is_left_is_the_last_piece() -> None:
    assert [event.tick for event in last_piece(Ring().shared)] == list(range(0, 1000, 100))
