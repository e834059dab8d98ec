"""Tries a soundfont in a process that may crash, before this process loads it."""

from __future__ import annotations

from pathlib import Path

from appliance.sandbox import refuse_crash, run_in_fork


def try_soundfont(path: Path) -> None:
    """Check that FluidSynth can load the soundfont, in a forked process.

    Raises:
        BachboxError: FluidSynth crashes, or does not return.
    """

    def load() -> None:
        from appliance.audio.synth import FluidSynth

        FluidSynth(path, 48_000)

    refuse_crash(path, "soundfont", "FluidSynth", run_in_fork(load))
