"""The slots of the ring: every event comes back, and a slot that is not whole is no event."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing.groups import GROUP_KINDS
from appliance.composing.model_file import MAX_ENTRY_BYTES
from appliance.ipc.ring_slots import read_slot, write_slot
from appliance.ipc.shared_state import SLOT_BYTES, SLOT_COUNT, SharedState
from appliance.music import kinds, titles
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    NO_PROGRAM,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    PieceStart,
    TempoFactor,
    Tokens,
)
from appliance.music.limits import TEMPO_BPM

_TICKS = st.integers(0, (1 << 63) - 1)
_BYTES = st.integers(0, 255)
_WORDS = st.integers(0, 65_535)
_LONG_WORDS = st.integers(0, (1 << 32) - 1)

EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(NoteOn, _TICKS, _BYTES, _BYTES, _BYTES),
    st.builds(NoteOff, _TICKS, _BYTES, _BYTES, _WORDS, _WORDS),
    st.builds(TempoFactor, _TICKS, _WORDS),
    st.builds(
        PieceStart,
        tick=_TICKS,
        number=_LONG_WORDS,
        tonic=_BYTES,
        minor=st.booleans(),
        beats_per_bar=_BYTES,
        pickup_ticks=_WORDS,
        beat_ticks=_WORDS,
        form=_LONG_WORDS,
        kind=_BYTES,
        tempo_permille=_WORDS,
        group=_BYTES,
        place=_BYTES,
        group_size=_BYTES,
        times=_BYTES,
        program=_BYTES,
        saved=_LONG_WORDS,
    ),
    st.builds(Tokens, _TICKS, st.binary(max_size=8)),
)


@pytest.fixture(scope="module")
def shared() -> Iterator[SharedState]:
    shared = SharedState.create()
    yield shared
    shared.close()


@given(event=EVENTS, index=st.integers(0, 5 * SLOT_COUNT), epoch=st.integers(0, (1 << 32) - 1))
def test_an_event_comes_back_with_its_type(
    shared: SharedState, event: Event, index: int, epoch: int
) -> None:
    write_slot(shared, index, epoch, event)
    for found in (read_slot(shared, index), read_slot(shared, index, epoch)):
        assert found == event
        assert type(found) is type(event)


def test_another_lap_or_epoch_is_no_event(shared: SharedState) -> None:
    write_slot(shared, 7, 3, NoteOn(0, 0, 60, 80))
    assert read_slot(shared, 7, 4) is None
    assert read_slot(shared, 7 + SLOT_COUNT) is None


def test_the_largest_fields_that_a_piece_can_have_fit(shared: SharedState) -> None:
    largest_group = max(max(len(group.slots), *group.sizes) for group in GROUP_KINDS)
    event = PieceStart(
        tick=(1 << 63) - 1,
        number=(1 << 32) - 1,
        tonic=11,
        minor=True,
        beats_per_bar=64,
        pickup_ticks=63 * TICKS_PER_STEP,
        beat_ticks=16 * TICKS_PER_STEP,
        # The shortest form in the metadata of a model file is more than a byte long.
        form=MAX_ENTRY_BYTES,
        kind=len(kinds.NAMES) - 1,
        tempo_permille=round(FULL_TEMPO_PERMILLE * TEMPO_BPM.high / TEMPO_BPM.low),
        group=len(titles.GROUPS) - 1,
        place=largest_group,
        group_size=largest_group,
        times=3,
        program=NO_PROGRAM,
    )
    write_slot(shared, 0, 0, event)
    assert read_slot(shared, 0, 0) == event


@given(event=EVENTS, at=st.integers(0, SLOT_BYTES - 1), bit=st.integers(0, 7))
def test_a_changed_bit_is_no_event(shared: SharedState, event: Event, at: int, bit: int) -> None:
    write_slot(shared, 0, 0, event)
    shared.memory[shared.slot_offset_bytes(0) + at] ^= 1 << bit
    assert read_slot(shared, 0, 0) is None


@pytest.mark.parametrize(
    "event",
    [
        NoteOn(0, 256, 60, 80),
        NoteOff(0, 0, 60, 65_536, 0),
        TempoFactor(0, -1),
        NoteOn(-1, 0, 60, 80),
        PieceStart(0, 1, 0, False, 4, 0, group_size=256),
        PieceStart(0, 1, 0, False, 4, 0, program=-1),
    ],
)
def test_a_field_that_does_not_fit_is_refused(shared: SharedState, event: Event) -> None:
    with pytest.raises(struct.error):
        write_slot(shared, 0, 0, event)
