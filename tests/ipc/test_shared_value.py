"""A shared value always reads as something that was written completely."""

from __future__ import annotations

import mmap
import os
import resource
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import BachboxError, UsageError
from appliance.ipc.shared_state import (
    Action,
    ComposerState,
    Condition,
    LiveSettings,
    PerformerState,
    ReaderState,
    SharedState,
    WriterState,
)
from appliance.ipc.shared_value import SharedValue
from appliance.music import key_names, temperament
from appliance.music.events import Piece

_u8 = st.integers(0, 255)
_u32 = st.integers(0, 2**32 - 1)
_u64 = st.integers(0, 2**64 - 1)
_finite = st.floats(allow_nan=False)
_texts = st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=12)
_heads = st.builds(WriterState, _u32, _u64, _u64)
_controls = st.builds(
    LiveSettings,
    tempo_bpm=_finite,
    volume=_finite,
    playing=st.booleans(),
    program=st.integers(0, 127),
    is_program_chosen=st.booleans(),
    temperature=_finite,
    top_p=_finite,
    expression=_finite,
    key=st.sampled_from(key_names.NAMES),
    repeats=st.booleans(),
    temperament=st.sampled_from(temperament.NAMES),
    pitch_hz=_finite,
    balance=_finite,
    is_swapped=st.booleans(),
    is_mono=st.booleans(),
    action_count=_u32,
    action=st.sampled_from(Action),
    saved_piece=_u32,
    tone_count=_u32,
    voice_programs=st.tuples(*4 * [st.integers(-1, 127)]),
    voice_levels=st.tuples(*4 * [_finite]),
    model=_texts,
    output=_texts,
    soundfont=_texts,
)
_performers = st.builds(
    PerformerState,
    heartbeat=_u64,
    frames_played=_u64,
    sample_rate=_u32,
    xruns=_u32,
    starved=_u32,
    late_events=_u32,
    condition=st.sampled_from(Condition),
    sounding=_u8,
    piece=st.builds(
        Piece,
        number=_u32,
        tonic=st.integers(0, 11),
        minor=st.booleans(),
        beats_per_bar=st.integers(1, 64),
        pickup_ticks=st.integers(0, 8000),
        start_tick=_u64,
        beat_ticks=st.sampled_from([240, 480, 720]),
        form=_u32,
        kind=_u8,
        tempo_permille=st.integers(0, 65_535),
        group=_u8,
        place=_u8,
        group_size=_u8,
        times=_u8,
        program=_u8,
        saved=_u32,
    ),
)


def pair() -> tuple[SharedState, SharedState]:
    """The same memory, mapped as in two processes."""
    shared = SharedState.create()
    weakref.finalize(shared, os.close, shared.fd)
    return shared, SharedState.attach(shared.fd)


WORK = ComposerState(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, True, "one", "two")


@given(controls=_controls, performer=_performers, head=_heads)
def test_another_process_reads_what_was_written(
    controls: LiveSettings, performer: PerformerState, head: WriterState
) -> None:
    ours, theirs = pair()
    ours.live_settings.write(controls)
    ours.performer.write(performer)
    ours.writer.write(head)
    ours.reader.write(ReaderState(1, True, 2, 3.5, 4, 5, 6))
    ours.composer.write(WORK)
    assert theirs.live_settings.read() == controls
    assert theirs.performer.read() == performer
    assert theirs.writer.read() == head
    assert theirs.reader.read() == ReaderState(1, True, 2, 3.5, 4, 5, 6)
    assert theirs.composer.read() == WORK
    assert isinstance(theirs.performer.read().condition, Condition)
    assert isinstance(theirs.live_settings.read().action, Action)


def test_before_the_first_write_a_value_reads_as_its_default() -> None:
    shared = SharedState.create()
    assert shared.live_settings.read() == LiveSettings()
    assert shared.writer.read() == WriterState()


@given(values=st.lists(_heads, min_size=1, max_size=6), data=st.data())
def test_a_writer_killed_in_the_middle_of_a_write_leaves_the_value_before(
    values: list[WriterState], data: st.DataObject
) -> None:
    ours, theirs = pair()
    start, size = 0, len(ours.memory)
    for value in values:
        before = ours.memory[start:size]
        ours.writer.write(value)
        after = ours.memory[start:size]
    differ = np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8)
    changed = np.flatnonzero(differ).tolist()
    if not changed:
        return
    # Only some of the last write's bytes have arrived, in any order.
    arrived = data.draw(st.sets(st.sampled_from(changed), max_size=len(changed) - 1))
    for at in set(changed) - arrived:
        ours.memory[at] = before[at]
    expected = values[-2] if len(values) > 1 else WriterState()
    assert theirs.writer.read() == expected
    # The next write repairs it.
    successor = SharedState.attach(ours.fd)
    successor.writer.write(values[-1])
    assert theirs.writer.read() == values[-1]
    assert SharedState.attach(ours.fd).writer.read() == values[-1]


@given(values=st.lists(_heads, min_size=1, max_size=5), noise=st.binary(min_size=40, max_size=40))
def test_a_reader_that_finds_only_noise_keeps_the_last_good_value(
    values: list[WriterState], noise: bytes
) -> None:
    ours, theirs = pair()
    for value in values:
        ours.writer.write(value)
        assert theirs.writer.read() == value
    place = ours.memory.find(ours.memory[64:128])
    first, last = ours.live_settings.end_offset, ours.writer.end_offset
    assert place < first
    ours.memory[first:last] = (noise * 8)[: last - first]
    assert theirs.writer.read() == values[-1]


def test_the_serial_number_may_wrap_around() -> None:
    ours, theirs = pair()
    ours.writer.write(WriterState(1, 1, 1))
    ours.writer._serial = 2**32 - 2
    for count in range(2, 8):
        ours.writer.write(WriterState(count, count, count))
        assert theirs.writer.read() == WriterState(count, count, count)
        assert SharedState.attach(ours.fd).writer.read() == WriterState(count, count, count)


def test_a_model_name_that_does_not_fit_is_refused_with_its_limit() -> None:
    shared = SharedState.create()
    with pytest.raises(UsageError, match="at most 48 bytes"):
        shared.live_settings.write(LiveSettings(model="ü" * 25))


def test_a_foreign_file_descriptor_is_refused(tmp_path: os.PathLike[str]) -> None:
    # No file descriptor of this process can have the number of the limit.
    number, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(BachboxError, match="not open"):
        SharedState.attach(number)
    fd = os.open(os.fspath(tmp_path) + "/other", os.O_RDWR | os.O_CREAT)
    with pytest.raises(BachboxError, match="not this version's shared memory"):
        SharedState.attach(fd)
    os.close(fd)


class BusyMemory(mmap.mmap):
    """Memory whose first ``torn_looks`` reads meet a writer at work and find nothing whole."""

    torn_looks = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if not self.torn_looks:
            return found
        self.torn_looks -= 1
        return bytes(len(found))


def value_in(memory: mmap.mmap, offset: int = 0) -> SharedValue[int]:
    return SharedValue(
        memory, offset, "<I12x", -1, lambda value: (value,), lambda fields: fields[0]
    )


def test_a_reader_that_meets_a_writer_at_work_looks_again() -> None:
    with BusyMemory(-1, mmap.PAGESIZE) as memory:
        value_in(memory).write(7)
        memory.torn_looks = 3
        assert value_in(memory).read() == 7


def test_who_wrote_a_value_reads_it_too() -> None:
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        value = value_in(memory)
        for number in (7, 8, 9):
            value.write(number)
            assert value.read() == number


@pytest.mark.parametrize("offset", [0, 64, 128])
def test_no_two_values_share_a_cache_line(offset: int) -> None:
    """Two writers would slow each other down."""
    with mmap.mmap(-1, mmap.PAGESIZE) as memory:
        # Two copies of 24 bytes.
        assert value_in(memory, offset).end_offset == offset + 64
