"""Channels of a block of sound: one for both (mono), exchanged (swap), one quieter (balance).

A block is taken as one large whole number, whose every 32 bits are a frame: left in the lower 16,
right in the upper ones, as s16le has them. One operation then works on all frames at once, and a
block of 1024 frames takes a quarter of a millisecond, without numpy and only if it is wanted.
"""

from __future__ import annotations

import functools
from typing import Final, NamedTuple

from appliance.ipc.pcm import BYTES_PER_FRAME

_UNITY: Final = 1 << 15
"""A gain of 1."""

_GLIDE: Final = 1 / 4
"""How much of the full range a gain moves in a block, so that a change does not click."""


class Layout(NamedTuple):
    """What is done with the two channels."""

    balance: float = 0.0
    """-100 (left only) to 100 (right only)."""
    is_swapped: bool = False
    is_mono: bool = False
    """Both channels play the mean of both."""


class _Frames(NamedTuple):
    """Constants of a block: a number in each of its frames."""

    lower: int
    """0xFFFF in each frame."""
    bias: int
    """0x8000 in each frame, which makes a signed sample unsigned."""
    ones: int
    """1 in each frame."""


@functools.lru_cache(maxsize=8)
def _frames(count: int) -> _Frames:
    ones = int.from_bytes(b"\1\0\0\0" * count, "little")
    return _Frames(0xFFFF * ones, 0x8000 * ones, ones)


class ChannelMixer:
    """Applies a :class:`Layout` to block after block; changes of the balance glide."""

    def __init__(self) -> None:
        self._gains: tuple[float, float] | None = None

    def apply(self, sound: bytes, layout: Layout) -> bytes:
        """Return ``sound`` (interleaved stereo s16le) with ``layout``."""
        target = (min(1.0, 1 - layout.balance / 100), min(1.0, 1 + layout.balance / 100))
        before = target if self._gains is None else self._gains
        self._gains = gains = (_nearer(before[0], target[0]), _nearer(before[1], target[1]))
        if gains == (1.0, 1.0) and not (layout.is_swapped or layout.is_mono):
            return sound
        frames = _frames(len(sound) // BYTES_PER_FRAME)
        left, right = _split(sound, frames)
        if layout.is_mono:
            left = right = _mean(left, right, frames)
        elif layout.is_swapped:
            left, right = right, left
        left, right = _scaled(left, gains[0], frames), _scaled(right, gains[1], frames)
        return ((left ^ frames.bias) | ((right ^ frames.bias) << 16)).to_bytes(len(sound), "little")


def to_one_channel(sound: bytes) -> bytes:
    """Return the mean of both channels of interleaved stereo s16le, as mono s16le."""
    frames = _frames(len(sound) // BYTES_PER_FRAME)
    mean = _mean(*_split(sound, frames), frames) ^ frames.bias
    samples = memoryview(mean.to_bytes(len(sound), "little")).cast("H")
    return samples[::2].tobytes()


def _split(sound: bytes, frames: _Frames) -> tuple[int, int]:
    """Return left and right as unsigned samples, each in the lower half of its frame."""
    both = int.from_bytes(sound, "little")
    return (both & frames.lower) ^ frames.bias, ((both >> 16) & frames.lower) ^ frames.bias


def _mean(left: int, right: int, frames: _Frames) -> int:
    return ((left + right) >> 1) & frames.lower


def _scaled(channel: int, gain: float, frames: _Frames) -> int:
    factor = round(gain * _UNITY)
    if factor == _UNITY:
        return channel
    # The bias is scaled too; what it loses is added again.
    kept = ((channel * factor) >> 15) & frames.lower
    return kept + (0x8000 - factor) * frames.ones


def _nearer(now: float, target: float) -> float:
    return target if abs(target - now) <= _GLIDE else now + (_GLIDE if target > now else -_GLIDE)
