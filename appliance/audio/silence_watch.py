"""Notices that notes are played and nothing is heard."""

from __future__ import annotations

from typing import Final

_LONG_S: Final = 5.0
"""After so much silence an instrument counts as silent: the slowest ones swell in three seconds."""

_DITHER_PEAK: Final = 2
"""FluidSynth adds noise of one step to silence, so that 16 bits suffice for what is soft."""


def is_silent(sound: bytes) -> bool:
    """Whether a block of s16le holds nothing but FluidSynth's dither."""
    samples = memoryview(sound).cast("h")
    return not samples or max(max(samples), -min(samples)) <= _DITHER_PEAK


class SilenceWatch:
    """Listens to the beginning of each instrument; costs nothing once it is heard.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._long_frames = _LONG_S * sample_rate
        self._silent_frames = 0
        self._notes = False
        self._is_listening = True

    def begin(self) -> None:
        """Listen from here on: an instrument was chosen."""
        self._silent_frames, self._notes, self._is_listening = 0, False, True

    def strike(self) -> None:
        """A note begins that should be heard."""
        self._notes = True

    def hear(self, sound: bytes) -> bool:
        """Take the next block, interleaved stereo s16le; return True once, after long silence."""
        if not (self._is_listening and self._notes):
            return False
        if not is_silent(sound):
            self._is_listening = False
            return False
        self._silent_frames += len(sound) // 4
        self._is_listening = self._silent_frames < self._long_frames
        return not self._is_listening
