"""The sound that is played, for whoever else wants it: listeners in browsers, other rooms.

The performer writes every block into a ring in the shared memory, says how far it has got, and
goes on: it never looks who reads. A reader that was away for too long jumps to the newest sound.
The ring consists of grains, and each has the tick at its first frame beside it, so that whoever
hears a grain knows where in the music it is.

No order of memory accesses is assumed between cores: what the writer has announced is taken
only at the reader's next look, milliseconds later.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from appliance.ipc.pcm import BYTES_PER_FRAME
from appliance.ipc.shared_state import GRAIN_BYTES, GRAIN_COUNT, GRAIN_FRAMES, SharedState, Tap

_TICK: Final = struct.Struct("<d")

_MARGIN_GRAINS: Final = 32
"""The next so many of the ring may be under the writer's pen: two of the largest blocks."""


class Sound(NamedTuple):
    """A stretch of sound."""

    samples: bytes
    """Interleaved stereo s16le."""
    sample_rate: int
    start_frame: int
    """Since the start of the box; after a gap it is not where the last one ended."""
    start_tick: float
    end_tick: float
    """Where the music is at its first frame, and after its last one."""


class TapWriter:
    """The performer's end; one made anew goes on where the one before stopped."""

    def __init__(self, shared: SharedState, sample_rate: int) -> None:
        self._shared = shared
        self._sample_rate = sample_rate
        self._frames = shared.tap.read().frames

    def write(self, samples: bytes, start_tick: float, end_tick: float) -> None:
        """Add a block (at most 8192 frames) during which the music went from tick to tick."""
        memory, shared = self._shared.memory, self._shared
        frames = len(samples) // BYTES_PER_FRAME
        first, end = self._frames, self._frames + frames
        done = 0
        while done < len(samples):
            grain, inside = divmod(self._frames, GRAIN_FRAMES)
            at = shared.grain_offset(grain) + inside * BYTES_PER_FRAME
            part = samples[done : done + GRAIN_BYTES - inside * BYTES_PER_FRAME]
            memory[at : at + len(part)] = part
            done += len(part)
            self._frames += len(part) // BYTES_PER_FRAME
        ticks_per_frame = (end_tick - start_tick) / frames if frames else 0.0
        for grain in range(-(-first // GRAIN_FRAMES), end // GRAIN_FRAMES + 1):
            tick = start_tick + (grain * GRAIN_FRAMES - first) * ticks_per_frame
            at = shared.grain_tick_offset(grain)
            memory[at : at + _TICK.size] = _TICK.pack(tick)
        shared.tap.write(Tap(self._frames, self._sample_rate))


class TapReader:
    """One reader's end; it begins with what is played now."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._seen = shared.tap.read()
        self._grain = self._seen.frames // GRAIN_FRAMES

    def take(self) -> Sound | None:
        """What was new at the last call; call it at least once a second."""
        seen, self._seen = self._seen, self._shared.tap.read()
        start, end = self._grain, seen.frames // GRAIN_FRAMES
        self._grain = end
        if start == end or self._seen.sample_rate != seen.sample_rate:
            return None
        parts = []
        for grain in range(start, end):
            at = self._shared.grain_offset(grain)
            parts.append(self._shared.memory[at : at + GRAIN_BYTES])
        ticks = [self._tick(start), self._tick(end)]
        newest = self._shared.tap.read().frames // GRAIN_FRAMES
        if newest - start > GRAIN_COUNT - _MARGIN_GRAINS:
            return None  # We were away for long, and some of it may be of another lap.
        return Sound(b"".join(parts), seen.sample_rate, start * GRAIN_FRAMES, *ticks)

    def _tick(self, grain: int) -> float:
        at = self._shared.grain_tick_offset(grain)
        return float(_TICK.unpack_from(self._shared.memory, at)[0])
