"""MusicXML files, read by music21, which only needs to be installed for them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from appliance.common.install_hint import install_hint
from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.midi_reader import first_line
from appliance.music.files.score_file import ScoreFile
from appliance.music.files.time_signatures import (
    TimeSignature,
    split_pickup,
    without_short_last_bar,
)
from appliance.music.notes import Note
from appliance.music.score import VOICES

SUFFIXES: Final = (".musicxml", ".mxl", ".xml")


def read(path: Path) -> ScoreFile:
    """Read a MusicXML file.

    Parts of transposing instruments are read as they sound. Fewer than four parts are split into
    their voices if that makes four.

    Raises:
        UsageError: music21 is missing, or cannot read the file.
    """
    try:
        from music21 import converter
    except ImportError as why:
        raise UsageError(
            "reading MusicXML needs music21 (MIDI needs no further package)",
            path=path,
            remedy=install_hint("scores"),
        ) from why
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stream = converter.parse(path, forceSource=True)
            if not all(part.atSoundingPitch for part in stream.parts):
                stream.toSoundingPitch(inPlace=True)
            return _with_written_pickup(from_music21(_in_voices(stream), path.stem), stream)
    except Exception as why:  # music21 raises whatever its XML reader meets
        raise UsageError(
            f"not a MusicXML file that can be read ({first_line(why)})", path=path
        ) from why


def _in_voices(stream: Any) -> Any:
    """The stream with a part for each voice if it then has four, or else as it is.

    A hymn in closed score has two staves with two voices each.
    """
    parts = list(stream.parts)
    if len(parts) >= VOICES or not any(
        part.recurse().getElementsByClass("Voice") for part in parts
    ):
        return stream
    voices = [voice for part in parts for voice in part.voicesToParts(separateById=True).parts]
    if len(voices) != VOICES:
        return stream
    score = stream.cloneEmpty(derivationMethod="voicesToParts")
    for voice in voices:
        score.insert(0, voice)
    return score


def _with_written_pickup(file: ScoreFile, stream: Any) -> ScoreFile:
    """The file with a pickup that is written as a bar in another meter."""
    parts = list(stream.parts)
    found = parts[0].flatten().getElementsByClass("TimeSignature") if parts else ()
    pickup_ticks, signatures = split_pickup(
        [TimeSignature(_ticks(sign.offset), sign.numerator, sign.denominator) for sign in found],
        TICKS_PER_BEAT,
    )
    signatures = without_short_last_bar(signatures, TICKS_PER_BEAT, file.length_ticks or 0)
    if pickup_ticks is None and len(signatures) == len(file.time_signatures):
        return file
    return replace(
        file,
        time_signatures=tuple((sign.numerator, sign.denominator) for sign in signatures),
        first_bar_ticks=file.first_bar_ticks if pickup_ticks is None else round(pickup_ticks),
    )


def from_music21(stream: Any, name: str) -> ScoreFile:
    """The notes, meters and bars of a music21 stream; tied notes are joined."""
    streams = list(getattr(stream, "parts", []))
    parts: list[tuple[Note, ...]] = []
    fermatas: list[tuple[int, int]] = []
    for part in streams:
        notes: list[Note] = []
        for element in part.stripTies().flatten().notes:
            if not element.quarterLength or "Harmony" in element.classes:  # a chord symbol
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
