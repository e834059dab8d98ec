"""MusicXML files, read by music21, which only needs to be installed for them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

from appliance.common.install_hint import install_hint
from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.midi_reader import first_line
from appliance.music.files.score_file import ScoreFile
from appliance.music.notes import Note

SUFFIXES: Final = (".musicxml", ".mxl", ".xml")


def read(path: Path) -> ScoreFile:
    """Read a MusicXML file.

    Raises:
        UsageError: music21 is missing, or cannot read the file.
    """
    try:
        from music21 import converter
    except ImportError as why:
        raise UsageError(
            "to read MusicXML, music21 is needed (a MIDI file needs nothing more)",
            path=path,
            remedy=install_hint("scores"),
        ) from why
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return from_music21(converter.parse(path, forceSource=True), path.stem)
    except Exception as why:  # music21 raises whatever its XML reader meets
        raise UsageError(
            f"not a MusicXML file that can be read ({first_line(why)})", path=path
        ) from why


def from_music21(stream: Any, name: str) -> ScoreFile:
    """The notes, meters and bars of a music21 stream; tied notes are joined."""
    streams = list(getattr(stream, "parts", []))
    parts: list[tuple[Note, ...]] = []
    fermatas: list[tuple[int, int]] = []
    for part in streams:
        notes: list[Note] = []
        for element in part.stripTies().flatten().notes:
            if not element.quarterLength:
                continue
            start, length = _ticks(element.offset), _ticks(element.quarterLength)
            pitches = [pitch.midi for pitch in element.pitches]
            notes += [Note(start, length, pitch, len(parts)) for pitch in pitches]
            if pitches and not parts and any("Fermata" in e.classes for e in element.expressions):
                fermatas.append((start, start + length))
        parts.append(tuple(notes))
    measure = streams[0].getElementsByClass("Measure").first() if streams else None
    length = max((part.duration.quarterLength for part in streams), default=0)
    return ScoreFile(
        name=name,
        parts=tuple(parts),
        time_signatures=_time_signatures(stream, streams),
        engraved=True,
        length_ticks=_ticks(length),
        first_bar_ticks=None if measure is None else _ticks(measure.duration.quarterLength),
        fermatas=tuple(fermatas),
    )


def _time_signatures(stream: Any, parts: list[Any]) -> tuple[tuple[int, int], ...]:
    """Those of the first part; of the whole stream if that has none."""
    for source in (*parts[:1], stream):
        if found := list(source.recurse().getElementsByClass("TimeSignature")):
            return tuple((signature.numerator, signature.denominator) for signature in found)
    return ()


def _ticks(quarters: Any) -> int:
    """A time in quarter notes (music21 has floats and fractions) in ticks."""
    return round(float(quarters) * TICKS_PER_BEAT)
