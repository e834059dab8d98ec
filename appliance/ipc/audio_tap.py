"""Lets other processes read the sound that is played, such as listeners in browsers.

The performer writes every block into a ring of audio in the shared memory, and publishes how far
it has got. It never waits for a reader: one that was away for too long jumps to the newest sound.
The ring consists of chunks. Beside each chunk is the tick at its first frame, so that a reader
knows where in the music the sound is.

No order of memory accesses is assumed between cores: a reader takes what had been published at
its last call, milliseconds ago.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from appliance.ipc.pcm import BYTES_PER_FRAME
from appliance.ipc.shared_state import (
    TAP_CHUNK_BYTES,
    TAP_CHUNK_COUNT,
    TAP_CHUNK_FRAMES,
    SharedState,
    TapState,
)

_TICK: Final = struct.Struct("<d")

_UNSAFE_CHUNKS: Final = 32
"""This many of the oldest chunks may be being overwritten: two of the largest blocks."""


class Sound(NamedTuple):
    """A stretch of sound."""

    samples: bytes
    """Interleaved stereo s16le."""
    sample_rate: int
    """Frames per second."""
    start_frame: int
    """Frames since the start of the box. After a gap it is not where the last stretch ended."""
    start_tick: float
    """Where the music is at the first frame."""
    end_tick: float
    """Where the music is after the last frame."""


class TapWriter:
    """The performer's end; a new writer continues where the last one stopped."""

    def __init__(self, shared: SharedState, sample_rate: int) -> None:
        self._shared = shared
        self._sample_rate = sample_rate
        self._frames = shared.tap.read().frames

    def write(self, samples: bytes, start_tick: float, end_tick: float) -> None:
        """Add a block of sound.

        Args:
            samples: interleaved stereo s16le, at most 8192 frames.
            start_tick: where the music is at its beginning.
            end_tick: where the music is at its end.
        """
        memory, shared = self._shared.memory, self._shared
        frames = len(samples) // BYTES_PER_FRAME
        first, end = self._frames, self._frames + frames
        done = 0
        while done < len(samples):
            chunk, inside = divmod(self._frames, TAP_CHUNK_FRAMES)
            at = shared.chunk_offset_bytes(chunk) + inside * BYTES_PER_FRAME
            part = samples[done : done + TAP_CHUNK_BYTES - inside * BYTES_PER_FRAME]
            memory[at : at + len(part)] = part
            done += len(part)
            self._frames += len(part) // BYTES_PER_FRAME
        ticks_per_frame = (end_tick - start_tick) / frames if frames else 0.0
        for chunk in range(-(-first // TAP_CHUNK_FRAMES), end // TAP_CHUNK_FRAMES + 1):
            tick = start_tick + (chunk * TAP_CHUNK_FRAMES - first) * ticks_per_frame
            at = shared.chunk_tick_offset_bytes(chunk)
            memory[at : at + _TICK.size] = _TICK.pack(tick)
        shared.tap.write(TapState(self._frames, self._sample_rate))


class TapReader:
    """One reader's end; it begins with what is played now."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._seen = shared.tap.read()
        self._next_chunk = self._seen.frames // TAP_CHUNK_FRAMES

    def take(self) -> Sound | None:
        """Return the sound that was new at the last call; None if there was none.

        It must be called at least once a second, or some sound is lost.
        """
        seen, self._seen = self._seen, self._shared.tap.read()
        start, end = self._next_chunk, seen.frames // TAP_CHUNK_FRAMES
        self._next_chunk = end
        if start == end or self._seen.sample_rate != seen.sample_rate:
            return None
        parts = []
        for chunk in range(start, end):
            at = self._shared.chunk_offset_bytes(chunk)
            parts.append(self._shared.memory[at : at + TAP_CHUNK_BYTES])
        ticks = [self._tick(start), self._tick(end)]
        newest = self._shared.tap.read().frames // TAP_CHUNK_FRAMES
        if newest - start > TAP_CHUNK_COUNT - _UNSAFE_CHUNKS:
            return None  # The call came late, and some of it may have been overwritten.
        return Sound(b"".join(parts), seen.sample_rate, start * TAP_CHUNK_FRAMES, *ticks)

    def _tick(self, chunk: int) -> float:
        at = self._shared.chunk_tick_offset_bytes(chunk)
        return float(_TICK.unpack_from(self._shared.memory, at)[0])
