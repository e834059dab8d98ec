"""Tries a soundfont in a process that may crash, before this process loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.audio.soundfont import warn_if_slow
from appliance.errors import BachboxError
from appliance.sandbox import refuse_crash, run_in_fork

_TIMEOUT_S: Final = 300
"""An .sf3 file of 40 MB takes a slow Pi a minute; playing allows as long before the first sound."""


def try_soundfont(path: Path) -> None:
    """Check that FluidSynth can load the soundfont, in a forked process.

    A file that FluidSynth refuses without crashing passes: loading it here says what is wrong.

    Raises:
        BachboxError: FluidSynth crashes, or does not return.
    """

    def load() -> None:
        from appliance.audio.synth import FluidSynth

        FluidSynth(path, 48_000)

    with warn_if_slow(path):
        ended_by = run_in_fork(load, _TIMEOUT_S)
    if ended_by == "SIGALRM":
        raise BachboxError(
            f"the soundfont is not loaded after {_TIMEOUT_S} s",
            path=path,
            remedy="choose a smaller one, or an .sf2 file",
        )
    refuse_crash(path, "soundfont", "FluidSynth", ended_by)
