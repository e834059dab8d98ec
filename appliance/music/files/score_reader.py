"""Score files of every format that Bachbox knows, by their suffixes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.errors import UsageError
from appliance.music.files import midi_reader, musicxml_reader
from appliance.music.files.score_file import ScoreFile

SUFFIXES: Final = midi_reader.SUFFIXES + musicxml_reader.SUFFIXES
MAX_FILE_BYTES: Final = 16 << 20


def read(path: Path) -> ScoreFile:
    """Read a MIDI or MusicXML file.

    Raises:
        UsageError: there is no such file, or it is not a score.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(
            f"cannot read {suffix or 'nameless'} files; known: {' '.join(SUFFIXES)}",
            path=path,
        )
    try:
        if path.exists() and not path.is_file():
            raise UsageError("not a file, so no score", path=path)
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError("larger than 16 MiB; no score needs that much", path=path)
        is_midi = suffix in midi_reader.SUFFIXES
        return midi_reader.read(path) if is_midi else musicxml_reader.read(path)
    except OSError as why:
        raise UsageError(f"cannot read the score: {why.strerror or why}", path=path) from why
