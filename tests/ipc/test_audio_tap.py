"""The audio tap: a reader gets all sound in order, or jumps ahead if it is slow."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from appliance.ipc.audio_tap import Sound, TapReader, TapWriter
from appliance.ipc.pcm import BYTES_PER_FRAME
from appliance.ipc.shared_state import TAP_CHUNK_COUNT, TAP_CHUNK_FRAMES, SharedState

RATE = 48_000

_blocks = st.lists(st.integers(64, 8192), min_size=1, max_size=60)


def sound_of(start: int, frames: int) -> bytes:
    """Frames that contain their own numbers."""
    return b"".join(number.to_bytes(4, "little") for number in range(start, start + frames))


def write(writer: TapWriter, start: int, frames: int, ticks_per_frame: float = 0.01) -> int:
    """Write a block of numbered frames; return where the next one begins."""
    end = start + frames
    writer.write(sound_of(start, frames), start * ticks_per_frame, end * ticks_per_frame)
    return end


def holds(sound: Sound) -> bool:
    """Check that the sound is what was written at its place, and its ticks those of its frames."""
    frames = len(sound.samples) // BYTES_PER_FRAME
    end = sound.start_frame + frames
    assert sound.samples == sound_of(sound.start_frame, frames)
    assert abs(sound.start_tick - sound.start_frame * 0.01) < 1e-6
    assert abs(sound.end_tick - end * 0.01) < 1e-6
    return True


@given(blocks=_blocks, looks=st.lists(st.booleans(), min_size=60, max_size=60))
def test_sound_is_read_in_order_or_skipped(blocks: list[int], looks: list[bool]) -> None:
    shared = SharedState.create()
    reader, writer = TapReader(shared), TapWriter(shared, RATE)
    frame, heard = 0, []
    for frames, look in zip(blocks, itertools.cycle(looks), strict=False):
        frame = write(writer, frame, frames)
        if look and (sound := reader.take()):
            heard.append(sound)
    heard += [sound for _ in range(2) if (sound := reader.take())]
    assert all(map(holds, heard))
    for before, after in itertools.pairwise(heard):
        assert after.start_frame >= before.start_frame + len(before.samples) // BYTES_PER_FRAME
    shared.close()


def test_a_fast_reader_misses_nothing() -> None:
    shared = SharedState.create()
    reader, writer = TapReader(shared), TapWriter(shared, RATE)
    frame, heard = 0, b""
    for _ in range(3 * TAP_CHUNK_COUNT):
        frame = write(writer, frame, 1000)
        sound = reader.take()
        heard += sound.samples if sound else b""
    sound = reader.take()
    heard += sound.samples if sound else b""
    assert heard == sound_of(0, frame // TAP_CHUNK_FRAMES * TAP_CHUNK_FRAMES)


def test_a_reader_that_was_away_for_a_lap_continues_with_the_newest() -> None:
    shared = SharedState.create()
    reader, writer = TapReader(shared), TapWriter(shared, RATE)
    frame = 0
    for _ in range(2 * TAP_CHUNK_COUNT):
        frame = write(writer, frame, 1024)
    assert reader.take() is None
    frame = write(writer, frame, 1024)
    reader.take()
    frame = write(writer, frame, 1024)
    sound = reader.take()
    assert sound is not None
    assert holds(sound)
    assert sound.start_frame >= frame - 4096


def test_another_performer_continues_the_count_at_its_own_rate() -> None:
    shared = SharedState.create()
    reader, writer = TapReader(shared), TapWriter(shared, RATE)
    frame = write(writer, 0, 1000)
    writer = TapWriter(shared, 44_100)
    frame = write(writer, frame, 5000)
    reader.take()
    frame = write(writer, frame, 5000)
    sounds = [reader.take(), reader.take()]
    assert sounds[-1] is not None
    assert sounds[-1].sample_rate == 44_100
    assert all(holds(sound) for sound in sounds if sound)
    assert shared.tap.read().frames == frame
