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
    names: list[str] = []
    fermatas: list[tuple[int, int]] = []
    percussion = grace_notes = 0
    for part in streams:
        read = _PartReader(len(parts))
        for element in part.flatten().notes:
            read.take(element)
        grace_notes += read.grace_notes
        if read.has_percussion and not read.notes:
            percussion += 1
            continue
        if not parts:
            fermatas = read.fermatas()
        parts.append(tuple(read.notes))
        names.append(str(part.partName or ""))
    notices = []
    if percussion:
        notices.append(f"read {len(parts)} of {len(streams)} parts (percussion left out)")
    if grace_notes:
        notices.append(f"grace notes were left out ({grace_notes})")
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
        notices=tuple(notices),
        part_names=tuple(names),
    )


class _PartReader:
    """Collects the notes of a part.

    Ties are joined here and not by music21, which loses some of them where voices overlap.
    """

    def __init__(self, number: int) -> None:
        self.notes: list[Note] = []
        self.has_percussion = False
        self.grace_notes = 0
        self._number = number
        self._tied: dict[int, int] = {}
        """By pitch, the place in :attr:`notes` of a note that a tie continues."""
        self._with_fermata: list[int] = []

    def take(self, element: Any) -> None:
        """Add a note or chord of music21; elements come in the order of their beginnings."""
        if "Harmony" in element.classes:  # A chord symbol.
            return
        if {"Unpitched", "PercussionChord"} & {*element.classes}:
            self.has_percussion = True
            return
        if not element.quarterLength:
            self.grace_notes += 1
            return
        start, end = _ticks(element.offset), _ticks(element.offset + element.quarterLength)
        has_fermata = any("Fermata" in expression.classes for expression in element.expressions)
        for note in element.notes if element.isChord else (element,):
            self._take_note(note, start, end, has_fermata=has_fermata)

    def _take_note(self, note: Any, start: int, end: int, *, has_fermata: bool) -> None:
        pitch, tie = note.pitch.midi, note.tie.type if note.tie else ""
        place = self._tied.pop(pitch, None)
        if place is not None and tie in ("stop", "continue") and self.notes[place].end == start:
            first = self.notes[place]
            self.notes[place] = first._replace(length=end - first.start)
        else:
            place = len(self.notes)
            self.notes.append(Note(start, end - start, pitch, self._number))
            if has_fermata:
                self._with_fermata.append(place)
        if tie in ("start", "continue"):
            self._tied[pitch] = place

    def fermatas(self) -> list[tuple[int, int]]:
        """The spans of the notes and chords with a fermata."""
        spans = ((self.notes[place].start, self.notes[place].end) for place in self._with_fermata)
        return list(dict.fromkeys(spans))


def _time_signatures(stream: Any, parts: list[Any]) -> tuple[tuple[int, int], ...]:
    """Those of the first part; of the whole stream if that has none."""
    for source in (*parts[:1], stream):
        if found := list(source.recurse().getElementsByClass("TimeSignature")):
            return tuple((signature.numerator, signature.denominator) for signature in found)
    return ()


def _ticks(quarters: Any) -> int:
    """A time in quarter notes (music21 has floats and fractions) in ticks."""
    return round(float(quarters) * TICKS_PER_BEAT)
