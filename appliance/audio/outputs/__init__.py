"""Where the sound goes: a card, a file, a pipe, or nowhere at a card's pace.

An output pulls: :meth:`Output.run` calls ``render`` for the next block whenever there is room
for one, until ``stop`` is set. What kind it is says the spec, see :func:`open_output`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from appliance.errors import BachboxError, UsageError

Render = Callable[[int], bytes]
"""Frames wanted -> that many frames of interleaved stereo s16le."""

DEFAULT_SAMPLE_RATE: Final = 48_000
"""Frames a second where no device says otherwise."""


class DeviceLost(BachboxError):  # noqa: N818 - it says what happened
    """There is no such sound card now, or it went away; it may come back."""


class Output(Protocol):
    """One place that sound goes to."""

    @property
    def sample_rate(self) -> int:
        """Frames a second that the output takes; the synth has to follow."""

    @property
    def xruns(self) -> int:
        """Times that the output was short of sound, since it was opened."""

    def run(self, render: Render, stop: threading.Event) -> None:
        """Play what ``render`` gives until ``stop`` is set; raises :class:`DeviceLost`."""

    def close(self) -> None:
        """Leave the file or the device in order."""


def open_output(
    spec: str,
    block_frames: int = 1024,
    sample_rate: int = DEFAULT_SAMPLE_RATE,
    *,
    resume: bool = False,
) -> Output:
    """The output that ``spec`` names, ready to run.

    ``default`` or the name of a sound card, ``wav:FILE``, ``pipe:FILE`` (raw s16le stereo),
    or ``null``. ``sample_rate`` is for all but the card, which has its own. ``resume`` goes on
    with a WAV file that is there instead of beginning it anew.
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
    return sound_card.CardOutput(spec, block_frames)
