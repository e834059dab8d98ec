"""Tries a soundfont: in a process that may crash, before this process loads it, and by ear."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.audio.silence_watch import is_silent
from appliance.audio.soundfont import faster_kind, warn_if_slow
from appliance.errors import BachboxError
from appliance.sandbox import refuse_crash, run_in_fork

_TIMEOUT_S: Final = 300
"""An .sf3 file of 40 MB takes a slow Pi a minute; playing allows as long before the first sound."""
_SAMPLE_RATE: Final = 48_000
_TRIED_PITCHES: Final = range(24, 109, 12)
"""In all octaves: an instrument may have only low or only high notes."""
_BLOCKS, _BLOCK_FRAMES = 30, 4800
"""Three seconds, in which the slowest instruments begin to be heard."""


def try_soundfont(path: Path) -> None:
    """Check that FluidSynth can load the soundfont, in a forked process.

    A file that FluidSynth refuses without crashing passes: loading it here says what is wrong.

    Raises:
        BachboxError: FluidSynth crashes, or does not return.
    """

    def load() -> None:
        from appliance.audio.synth import FluidSynth

        FluidSynth(path, _SAMPLE_RATE)

    with warn_if_slow(path):
        ended_by = run_in_fork(load, _TIMEOUT_S)
    if ended_by == "SIGALRM":
        raise BachboxError(
            f"the soundfont is not loaded after {_TIMEOUT_S} s",
            path=path,
            remedy=f"choose another; {faster_kind(path)} loads faster",
        )
    refuse_crash(path, "soundfont", "FluidSynth", ended_by)


def makes_sound(path: Path, program: int) -> bool:
    """Return whether anything is heard of a General MIDI program, or of what plays instead.

    Raises:
        BachboxError: it is no soundfont that FluidSynth can load.
    """
    from appliance.audio.synth import FluidSynth

    synth = FluidSynth(path, _SAMPLE_RATE)
    try:
        synth.volume(100)
        synth.program(program)
        for pitch in _TRIED_PITCHES:
            synth.note_on(0, pitch, 90)
        return any(not is_silent(synth.render(_BLOCK_FRAMES)) for _ in range(_BLOCKS))
    finally:
        synth.close()
