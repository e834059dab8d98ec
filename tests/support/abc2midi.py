"""What others make of our ABC: abcmidi's abc2midi reads it, and its MIDI file is listened to."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import mido

from appliance.music.events import TICKS_PER_BEAT, Event, Kind

OFF_BY_TICKS = 2
"""abc2midi begins every note a tick late and rounds triplets of short notes."""


class Sounding(NamedTuple):
    """A note in our ticks."""

    start: float
    length: float
    pitch: int


class Heard(NamedTuple):
    """What abc2midi said and played."""

    complaints: list[str]
    notes: list[Sounding]


def abc2midi(tune: str) -> Heard:
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
        said = (done.stdout + done.stderr).splitlines()
        complaints = [line for line in said if "error" in line.lower() or "warning" in line.lower()]
        path = folder / "tune.mid"
        return Heard(complaints, _notes(mido.MidiFile(path)) if path.is_file() else [])


def _notes(file: mido.MidiFile) -> list[Sounding]:
    found = []
    for track in file.tracks:
        now, begun = 0, dict[int, int]()
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                begun[message.note] = now
            elif message.type in ("note_on", "note_off") and message.note in begun:
                start = begun.pop(message.note)
                ours = TICKS_PER_BEAT / file.ticks_per_beat
                found.append(Sounding(start * ours, (now - start) * ours, message.note))
    return sorted(found)


def played(events: Iterable[Event]) -> list[Sounding]:
    """The notes of our own events, one voice."""
    found, begun = [], None
    for event in events:
        if event.kind == Kind.NOTE_ON:
            begun = event
        elif event.kind == Kind.NOTE_OFF:
            assert begun is not None
            found.append(Sounding(begun.tick, event.tick - begun.tick, event.pitch))
    return found


def are_the_same(theirs: list[Sounding], ours: list[Sounding]) -> bool:
    """Note for note, each as high and as long, at its time."""
    return len(theirs) == len(ours) and all(
        abs(a.start - b.start) <= OFF_BY_TICKS
        and abs(a.length - b.length) <= OFF_BY_TICKS
        and a.pitch == b.pitch
        for a, b in zip(theirs, ours, strict=True)
    )
