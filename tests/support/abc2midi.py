"""How another program reads our ABC: abcmidi's abc2midi plays it, and the notes are compared."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from appliance.music.files import midi_reader
from appliance.music.notes import Note

TOLERANCE_TICKS = 2
"""abc2midi begins every note a tick late and rounds triplets of short notes."""


class Abc2MidiResult(NamedTuple):
    """What abc2midi printed and played."""

    complaints: list[str]
    """Its errors and warnings."""
    notes: list[Note]


def abc2midi(tune: str) -> Abc2MidiResult:
    """Let abc2midi read one tune."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tune.abc").write_text(tune)
        done = subprocess.run(
            ["abc2midi", "tune.abc", "-o", "tune.mid"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = (done.stdout + done.stderr).splitlines()
        complaints = [
            line for line in lines if "error" in line.lower() or "warning" in line.lower()
        ]
        path = folder / "tune.mid"
        parts = midi_reader.read(path).parts if path.is_file() else ()
        return Abc2MidiResult(complaints, sorted(note for part in parts for note in part))


def are_the_same(theirs: list[Note], ours: list[Note]) -> bool:
    """Whether both are the same notes, up to :data:`TOLERANCE_TICKS` in time."""
    return len(theirs) == len(ours) and all(
        abs(a.start - b.start) <= TOLERANCE_TICKS
        and abs(a.length - b.length) <= TOLERANCE_TICKS
        and a.pitch == b.pitch
        for a, b in zip(theirs, ours, strict=True)
    )
