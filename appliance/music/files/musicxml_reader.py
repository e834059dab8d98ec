"""MusicXML files: their notes as they sound, by part and staff, with bars, meters and ties.

Source: MusicXML 4.0, https://www.w3.org/2021/06/musicxml40/
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.musicxml_document import MusicXmlDocument
from appliance.music.files.musicxml_part import MusicXmlPart, WrittenNote
from appliance.music.files.parts_and_clefs import VOICE_NAMES
from appliance.music.files.score_file import MAX_NOTES, ScoreFile, first_line
from appliance.music.files.time_signatures import (
    TimeSignature,
    split_pickup,
    without_short_last_bar,
)
from appliance.music.notes import Note, is_line
from appliance.music.score import VOICES

SUFFIXES: Final = (".musicxml", ".mxl", ".xml")
MAX_MEASURES: Final = 20_000
MAX_PARTS: Final = 200
"""The largest orchestra has half of them."""
_KEYBOARD: Final = re.compile(r"(?i)piano|organ|orgel|orgue|keyboard|klavier|cembalo|harpsichord")
"""A part that accompanies, by its name."""


class _Sounding(NamedTuple):
    """A note as it sounds."""

    note: Note
    voice: str
    """As the file calls it."""
    has_fermata: bool


_Line = list[_Sounding]


def read(path: Path) -> ScoreFile:
    """Read a MusicXML file.

    Every staff is a part. Parts of transposing instruments are read as they sound. Without four
    staves of one voice each, staves are split into their voices if that makes four or more.

    Raises:
        UsageError: it is not MusicXML, or is too long.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        document = MusicXmlDocument(content)
        parts = _parts(document)
    except Exception as why:  # zipfile and codecs raise whatever they meet in garbage
        raise UsageError(
            f"not a MusicXML file that can be read ({first_line(why)})", path=path
        ) from why
    return _score_file(path.stem, document, parts)


def _parts(document: MusicXmlDocument) -> list[MusicXmlPart]:
    """The parts in the order of the file.

    Raises:
        ValueError: it is not MusicXML, or has more than :data:`MAX_NOTES` notes,
            :data:`MAX_MEASURES` measures or :data:`MAX_PARTS` parts.
        SyntaxError: it is not well-formed.
    """
    parts: dict[tuple[int, str], MusicXmlPart] = {}
    budget = MAX_NOTES
    for measure in document.measures():
        if measure.number >= MAX_MEASURES:
            raise ValueError(f"it has more than {MAX_MEASURES} measures")
        if measure.part not in parts:
            if len(parts) == MAX_PARTS:
                raise ValueError(f"it has more than {MAX_PARTS} parts")
            is_percussion = measure.part[1] in document.percussion
            parts[measure.part] = MusicXmlPart(is_percussion=is_percussion)
        part = parts[measure.part]
        budget += len(part.notes)
        part.rest_until(measure.number)
        part.read_measure(measure.element)
        budget -= len(part.notes)
        if budget < 0:
            raise ValueError(f"it has more than {MAX_NOTES} notes")
    for (_, name), part in parts.items():
        part.name = document.part_names.get(name, "")
    return list(parts.values())


def _score_file(name: str, document: MusicXmlDocument, parts: Sequence[MusicXmlPart]) -> ScoreFile:
    starts = _measure_starts(parts)
    pitched = [part for part in parts if part.notes or not part.unpitched]
    lines: list[_Line] = []
    names: list[str] = []
    for part in pitched:
        for staff in part.by_staff():
            lines.append(_joined(staff, starts))
            names.append(part.name)
    lines, names = _split(lines, names)
    first = pitched[0] if pitched else MusicXmlPart()
    length_ticks, first_bar_ticks = _ticks(starts[-1]), _ticks(starts[1]) if parts else None
    pickup_ticks, signatures = split_pickup(
        [
            TimeSignature(_ticks(starts[measure]), over, under)
            for measure, over, under in first.meters
        ],
        TICKS_PER_BEAT,
    )
    signatures = without_short_last_bar(signatures, TICKS_PER_BEAT, length_ticks)
    return ScoreFile(
        name=name,
        parts=tuple(
            tuple(sounding.note._replace(voice=number) for sounding in line)
            for number, line in enumerate(lines)
        ),
        time_signatures=tuple((sign.numerator, sign.denominator) for sign in signatures),
        engraved=True,
        length_ticks=length_ticks,
        first_bar_ticks=first_bar_ticks if pickup_ticks is None else round(pickup_ticks),
        fermatas=tuple(
            dict.fromkeys(
                (sounding.note.start, sounding.note.end)
                for line in lines[:1]
                for sounding in line
                if sounding.has_fermata
            )
        ),
        notices=tuple(_notices(parts, len(pitched))),
        part_names=tuple(names),
        titles=tuple(document.titles),
        key_signature=first.key_signature,
        repeats=tuple(
            (_ticks(starts[measure + (not is_forward)]), is_forward)
            for measure, is_forward in first.repeats
        ),
    )


def _measure_starts(parts: Sequence[MusicXmlPart]) -> list[float]:
    """Where each measure begins, in quarter notes, and where the last one ends.

    A measure is as long as the longest part with notes in it. Rests are taken at their word only
    where all parts rest: programs write one of a whole bar in a pickup too. The last measure ends
    with its last note or rest, not with the space that fills it up.
    """
    count = max((len(part.lengths) for part in parts), default=0)
    lengths = []
    for measure in range(count):
        found = [part.lengths[measure] for part in parts if measure < len(part.lengths)]
        sounding = max(
            length.to_last if measure == count - 1 else length.sounding for length in found
        )
        resting = max(length.resting for length in found)
        meter = found[0].meter
        lengths.append(sounding or (resting if 0 < resting < meter else meter))
    return list(accumulate(lengths, initial=0.0))


def _joined(staff: Iterable[WrittenNote], starts: Sequence[float]) -> _Line:
    """The notes of a staff with ties joined, in the order of their beginnings.

    A tied note is in the voice in which it begins: programs let a tie lead into another one.
    """
    line: _Line = []
    tied: dict[tuple[int, int], list[int]] = defaultdict(list)
    """By pitch and end, the places of notes that ties continue."""
    timed = (_span(starts[note.measure], note) for note in staff)
    for start, end, written in sorted(timed, key=lambda t: (t[0], -t[2].pitch, t[1])):
        before = tied[written.pitch, start] if written.tied_from else []
        if before:
            place = before.pop(0)
            note = line[place].note
            line[place] = line[place]._replace(note=note._replace(length=end - note.start))
        else:
            place = len(line)
            note = Note(start, end - start, written.pitch)
            line.append(_Sounding(note, written.voice, written.has_fermata))
        if written.tied_on:
            tied[written.pitch, end].append(place)
    return line


def _span(measure_start: float, note: WrittenNote) -> tuple[int, int, WrittenNote]:
    """Where a note begins and ends; a length above 0 does not become 0."""
    start = _ticks(measure_start + note.start)
    return start, max(start + 1, _ticks(measure_start + note.end)), note


def _split(lines: list[_Line], names: list[str]) -> tuple[list[_Line], list[str]]:
    """The staves of closed score as a part for each voice, and the names of the parts.

    A hymn in closed score has two staves with two voices each; others may accompany it. The first
    four voices that are no keyboard's then get the names of voices.
    """
    staves = [(line, name) for line, name in zip(lines, names, strict=True) if line]
    voices = [_voices(line) for line, _ in staves]
    if sum(map(_is_single, (line for line, _ in staves))) >= VOICES:
        return lines, names
    if len(staves) < VOICES and sum(map(len, voices)) == VOICES:
        return [voice for found in voices for voice in found], []
    found: list[_Line] = []
    found_names: list[str] = []
    choir: list[int] = []
    for (line, name), parts in zip(staves, voices, strict=True):
        is_closed = len(parts) > 1 and _is_balanced(parts)
        if is_closed and len(choir) < VOICES and not _KEYBOARD.search(name):
            choir += range(len(found), len(found) + len(parts))
        found += parts if is_closed else [line]
        found_names += [name] * (len(parts) if is_closed else 1)
    if len(staves) < 3 or sum(map(_is_single, found)) < VOICES:
        return lines, names
    if len(choir) == VOICES:
        for place, name in zip(choir, VOICE_NAMES, strict=True):
            found_names[place] = name
    return found, found_names


def _voices(line: _Line) -> list[_Line]:
    """The voices of a staff, the highest first."""
    voices: dict[str, _Line] = defaultdict(list)
    for sounding in line:
        voices[sounding.voice].append(sounding)
    return sorted(voices.values(), key=lambda v: -fmean(s.note.pitch for s in v))


def _is_single(line: _Line) -> bool:
    """Whether there are notes, and at most one sounds at a time, but for one in ten."""
    return bool(line) and is_line([sounding.note for sounding in line])


def _is_balanced(voices: Sequence[_Line]) -> bool:
    """Whether the voices of a staff sing about as much, one note at a time."""
    sung = [sum(sounding.note.length for sounding in voice) for voice in voices]
    return all(map(_is_single, voices)) and min(sung) * 2 >= max(sung)


def _notices(parts: Sequence[MusicXmlPart], pitched: int) -> Iterable[str]:
    left_out = sum((part.left_out for part in parts), Counter[str]())
    if pitched < len(parts):
        yield f"read {pitched} of {len(parts)} parts (percussion left out)"
    elif unpitched := sum(part.unpitched for part in parts):
        yield f"notes without a pitch were left out ({unpitched})"
    if (endings := max((part.endings for part in parts), default=0)) > 1:
        yield f"endings of repeats were read one after the other ({endings})"
    if jumps := max((part.jumps for part in parts), default=0):
        yield f"da capo and the like were not followed ({jumps})"
    if between := sum(part.between for part in parts):
        yield f"notes between two semitones were read as one of them ({between})"
    if harmonics := sum(part.harmonics for part in parts):
        yield f"harmonics were read as they are written, not as they sound ({harmonics})"
    for what, count in left_out.items():
        yield f"{what} were left out ({count})"


def _ticks(quarters: float) -> int:
    return round(quarters * TICKS_PER_BEAT)
