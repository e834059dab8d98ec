"""Score files of every format that Bachbox knows, by their suffixes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Final

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.score_file import MAX_BEATS, ScoreFile

# Imported when a file is read: they and mido take 4 MiB, and a box that plays reads none.
_READERS: Final = {
    ".mid": "midi_reader",
    ".midi": "midi_reader",
    ".musicxml": "musicxml_reader",
    ".mxl": "musicxml_reader",
    ".xml": "musicxml_reader",
    ".abc": "abc_reader",
    ".kar": "midi_reader",
    ".rmi": "midi_reader",
    ".smf": "midi_reader",
}
"""Module in this package by suffix."""
SUFFIXES: Final = tuple(_READERS)
MAX_FILE_BYTES: Final = 16 << 20
MAX_SILENCE_TICKS: Final = 64 * TICKS_PER_BEAT
"""16 bars of 4/4: after such a silence of all parts, what follows is another piece or a mistake."""


def read(path: Path) -> ScoreFile:
    """Read a MIDI, MusicXML or ABC file.

    Raises:
        UsageError: there is no such file, or it is not a score, too long, or without notes.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"cannot read {suffix or 'nameless'} files; known: {' '.join(SUFFIXES)}",
            path=path,
            remedy="the program that wrote it may export MusicXML or MIDI",
        )
    try:
        if path.exists() and not path.is_file():
            raise UsageError("not a file, so no score", path=path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError("larger than 16 MiB; no score needs that much", path=path)
        file = _reader(suffix)(path)
    except OSError as why:
        raise UsageError(f"cannot read the score: {why.strerror or why}", path=path) from why
    if not any(file.parts):
        left_out = f": {'; '.join(file.notices)}" if file.notices else ""
        raise UsageError(f"there are no notes in it{left_out}", path=path)
    beats = max(note.end for part in file.parts for note in part) / TICKS_PER_BEAT
    if beats > MAX_BEATS:
        raise UsageError(
            f"its last note ends {beats:.0f} quarter notes after its beginning, and at most "
            f"{MAX_BEATS} can be read",
            path=path,
            remedy="look for a stray note at its end, or cut the file into movements",
        )
    return replace(_until_silence(file), path=path)


def _until_silence(file: ScoreFile) -> ScoreFile:
    """The file up to a silence that no piece has, with a notice: a stray note may follow it."""
    notes = sorted((note for part in file.parts for note in part), key=lambda note: note.start)
    ends = accumulate((note.end for note in notes), max)
    gaps = ((end, after.start) for end, after in zip(ends, notes[1:], strict=False))
    end, start = next((g for g in gaps if g[1] - g[0] >= MAX_SILENCE_TICKS), (0, 0))
    if not end or file.tune:
        return file
    beats = (start - end) // TICKS_PER_BEAT
    left_out = sum(note.start >= start for note in notes)
    notice = f"there is a silence of {beats} quarter notes; what follows it was left out"
    return replace(
        file,
        parts=tuple(tuple(note for note in part if note.start < start) for part in file.parts),
        length_ticks=file.length_ticks and min(file.length_ticks, end),
        fermatas=tuple(fermata for fermata in file.fermatas if fermata[0] < end),
        repeats=file.repeats and tuple(repeat for repeat in file.repeats if repeat[0] <= end),
        notices=(*file.notices, f"{notice} (notes: {left_out})"),
    )


def _reader(suffix: str) -> Callable[[Path], ScoreFile]:
    reader: Callable[[Path], ScoreFile]
    reader = import_module(f"{__package__}.{_READERS[suffix]}").read
    return reader
