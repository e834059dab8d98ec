"""Score files of every format that Bachbox knows, by their suffixes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.errors import UsageError
from appliance.music.files import abc_reader, midi_reader, musicxml_reader
from appliance.music.files.score_file import ScoreFile

_READERS: Final[dict[str, Callable[[Path], ScoreFile]]] = {
    suffix: reader.read
    for reader in (midi_reader, musicxml_reader, abc_reader)
    for suffix in reader.SUFFIXES
}
SUFFIXES: Final = tuple(_READERS)
MAX_FILE_BYTES: Final = 16 << 20


def read(path: Path) -> ScoreFile:
    """Read a MIDI, MusicXML or ABC file.

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
        return replace(_READERS[suffix](path), path=path)
    except OSError as why:
        raise UsageError(f"cannot read the score: {why.strerror or why}", path=path) from why
