"""Where the sound goes: a sound card, a file, a pipe, or nowhere, all in real time.

An output pulls: :meth:`Output.run` calls ``render`` for the next block whenever there is room for
one, until ``stop`` is set.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from appliance.errors import BachboxError, UsageError

Render = Callable[[int], bytes]
"""Returns the given number of frames, interleaved stereo s16le."""

DEFAULT_SAMPLE_RATE: Final = 48_000
"""Frames per second of all outputs but sound cards, which have their own."""


class DeviceLost(BachboxError):  # noqa: N818 - names what happened
    """The sound card does not exist now, or went away; it may come back."""


class Output(Protocol):
    """Plays blocks of sound in real time."""

    problem: str
    """Why it is not the output that was asked for; "" if it is."""
    choices: list[str]
    """What the sound cards are called that this process knows; none of an output without a card."""

    @property
    def name(self) -> str:
        """What plays: a sound card's name, or the spec of another output."""

    @property
    def sample_rate(self) -> int:
        """Frames per second that the output takes; the synth must render at this rate."""

    @property
    def xruns(self) -> int:
        """How often the output ran out of sound since it was opened."""

    def run(self, render: Render, stop: threading.Event) -> None:
        """Play what ``render`` returns until ``stop`` is set.

        Raises:
            DeviceLost: the sound card cannot be opened, or went away.
            BachboxError: the file or the pipe cannot be written.
        """

    def close(self) -> None:
        """Complete the file, or release the device."""


def is_card(spec: str) -> bool:
    """Return whether ``spec`` is a sound card, and not a file, a pipe or ``null``."""
    return spec != "null" and spec.partition(":")[0] not in ("wav", "pipe")


def open_output(
    spec: str,
    block_frames: int = 1024,
    sample_rate: int = DEFAULT_SAMPLE_RATE,
    *,
    resume: bool = False,
) -> Output:
    """Open an output.

    Args:
        spec: ``default`` or the name of a sound card (ALSA's spellings too), ``wav:FILE``,
            ``pipe:FILE`` (raw stereo s16le), or ``null``.
        block_frames: size of a block.
        sample_rate: frames per second. A sound card chooses its own.
        resume: append to a WAV file that exists, instead of replacing it.

    Raises:
        UsageError: ``spec`` names no output.
        DeviceLost: there is no such sound card.
        BachboxError: the file or the pipe cannot be written, or PortAudio is missing.
    """
    from appliance.audio.outputs import file_outputs, sound_card

    kind, colon, rest = spec.partition(":")
    if colon and kind in ("wav", "pipe"):
        if not rest:
            raise UsageError(f"the output {spec!r} names no file: write {kind}:FILE")
        if kind == "wav":
            return file_outputs.WavOutput(Path(rest), block_frames, sample_rate, resume)
        return file_outputs.PipeOutput(Path(rest), block_frames, sample_rate)
    if spec == "null":
        return file_outputs.NullOutput(block_frames, sample_rate)
    if not spec:
        raise UsageError(
            "the output is empty: give default, a sound card's name, wav:FILE, pipe:FILE or null"
        )
    return sound_card.open_card(spec, block_frames)
