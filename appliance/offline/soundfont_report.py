"""What Bachbox makes of people's own soundfonts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from appliance.audio.soundfont import preset_names
from appliance.audio.soundfont_check import makes_sound, try_soundfont
from appliance.common.text import printable
from appliance.errors import BachboxError

SUFFIXES: Final = (".sf2", ".sf3")
MAX_PRESETS_SHOWN: Final = 5
"""Fonts with no more instruments than this are described by their presets."""
_PROGRAMS: Final = 128


class SoundfontReport(msgspec.Struct, frozen=True):
    """What was found in a soundfont."""

    path: str
    usable: bool
    reason: str = ""
    """Why it cannot be used; it names the file."""
    instruments: int = 0
    """How many of General MIDI's 128 it has."""
    presets: list[str] = []
    """Bank, program and name of each preset that sounds."""


def check(paths: Sequence[Path]) -> list[SoundfontReport]:
    """Read soundfonts and play an instrument of each, as ``bachbox doctor`` does."""
    refused: dict[Path, str] = {}
    # All before the first is loaded here: FluidSynth's threads do not survive another fork.
    for path in paths:
        try:
            preset_names(path)
            try_soundfont(path)
        except BachboxError as why:
            refused[path] = str(why)
    return [
        SoundfontReport(printable(path), usable=False, reason=printable(refused[path]))
        if path in refused
        else _played(path)
        for path in paths
    ]


def _played(path: Path) -> SoundfontReport:
    """The report of a soundfont that can be loaded."""
    try:
        found = preset_names(path)
        programs = general_midi_programs(found)
        if not makes_sound(path, min(programs, default=0)):
            raise BachboxError(f"{path} makes no sound; choose another soundfont")
    except BachboxError as why:
        return SoundfontReport(printable(path), usable=False, reason=printable(why))
    return SoundfontReport(
        printable(path), usable=True, instruments=len(programs), presets=listed(found)
    )


def general_midi_programs(presets: Mapping[tuple[int, int], str]) -> set[int]:
    """Return the programs in bank 0, from the names of presets by bank and program."""
    return {program for bank, program in presets if bank == 0}


def listed(presets: Mapping[tuple[int, int], str]) -> list[str]:
    """Return bank, program and name of each preset, such as "0:19 Church Organ", in order."""
    return [f"{bank}:{program} {name}" for (bank, program), name in sorted(presets.items())]


def lines(report: SoundfontReport) -> Iterator[str]:
    """A report as lines of text."""
    if not report.usable:
        yield f"cannot be used: {report.reason}"
        return
    yield f"{report.path}: {report.instruments} of {_PROGRAMS} instruments"
    if len(report.presets) <= MAX_PRESETS_SHOWN:
        yield f"  its presets are {', '.join(report.presets)}"
