"""One part of a MusicXML file, read measure by measure.

Source: MusicXML 4.0, elements ``attributes``, ``note``, ``backup`` and ``forward``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

from appliance.music.files.score_file import KeySignature

MAX_STAVES: Final = 8
"""An organ has three."""
_LETTERS: Final = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
_MAX_MEASURE_QUARTERS: Final = 1e6
_MAX_REPEATED_MEASURES: Final = 8
_FIFTHS: Final = range(-7, 8)
_TYPES: Final = {
    name: 2.0 ** (3 - power)
    for power, name in enumerate(
        ("breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th")
    )
}
"""Quarter notes by type of note."""
_JUMPS: Final = ("dacapo", "dalsegno", "tocoda")
"""Attributes of ``sound`` that lead to another measure."""
_MODES: Final = {"major": False, "minor": True}


class WrittenNote(NamedTuple):
    """A note as it sounds; a tied one is several. Times are quarter notes within its measure."""

    measure: int
    """From 0."""
    start: float
    end: float
    pitch: int
    """MIDI note."""
    staff: int
    voice: str
    tied_from: bool
    tied_on: bool
    has_fermata: bool


class MeasureLength(NamedTuple):
    """How long a measure is by what a part writes in it, in quarter notes."""

    sounding: float
    """With everything in it, 0 if that is nothing but rests."""
    to_last: float
    """To the end of its last note or rest, 0 if it has no notes."""
    resting: float
    """Its rests, if it has nothing else."""
    meter: float
    """As the time signature says."""


class MusicXmlPart:
    """What a part holds; of ``is_percussion``, no note has a pitch, whatever the file writes."""

    def __init__(self, *, is_percussion: bool = False) -> None:
        self.name = ""
        self.notes: list[WrittenNote] = []
        self.lengths: list[MeasureLength] = []
        self.meters: list[tuple[int, int, int]] = []
        """Measure, numerator and denominator of every time signature."""
        self.repeats: list[tuple[int, bool]] = []
        """Measure of every repeat sign, and whether it is one where the repeat begins."""
        self.endings = 0
        """How many endings its repeats have."""
        self.jumps = 0
        """How many signs it has such as da capo."""
        self.key_signature: KeySignature | None = None
        """The first one, as it sounds."""
        self.unpitched = 0
        """How many notes have no pitch, as those of drums."""
        self.between = 0
        """How many notes are between two semitones."""
        self.harmonics = 0
        """How many notes are where a string is held for a harmonic, which sounds higher."""
        self.left_out: Counter[str] = Counter()
        """How many notes were left out, by what they are."""
        self._staves = 1
        self._divisions = 1.0
        self._transposition: dict[int, int] = {}
        """Semitones by staff; 0 stands for all staves."""
        self._repeats_of_measures: dict[int, int] = {}
        """By staff, how many measures are repeated from here on; 0 stands for all staves."""
        self._is_percussion = is_percussion
        self._percussion_staves: set[int] = set()
        """The staves with a clef of percussion."""
        self._tablatures: set[int] = set()
        """The staves with a clef of tablature."""

    def by_staff(self) -> list[list[WrittenNote]]:
        """The notes of each staff, from the top down."""
        staves: dict[int, list[WrittenNote]] = defaultdict(list)
        for note in self.notes:
            staves[note.staff].append(note)
        if staves.keys() - self._tablatures:  # Tablature repeats what the other staff has.
            for staff in self._tablatures & staves.keys():
                self.left_out["notes of a tablature"] += len(staves.pop(staff))
        return [staves[staff] for staff in range(1, max((self._staves, *staves)) + 1)]

    def rest_until(self, measure: int) -> None:
        """Rest in the measures before this one that the part has not: from 0."""
        silent = MeasureLength(0.0, 0.0, 0.0, self._bar_quarters())
        self.lengths += [silent] * (measure - len(self.lengths))

    def read_measure(self, measure: Element) -> None:
        """Add the next measure."""
        now = last = farthest = chord_start = 0.0
        notes = len(self.notes)
        for element in measure:
            match element.tag:
                case "note":
                    fields = {child.tag: child for child in element}
                    duration = self._note_duration(fields)
                    if "chord" in fields:
                        self._take_note(element, fields, chord_start, duration)
                        continue
                    self._take_note(element, fields, now, duration)
                    chord_start, now = now, now + duration
                    last, farthest = max(last, now), max(farthest, now)
                case "backup":
                    now = max(0.0, now - self._duration(element.find("duration")))
                case "forward":
                    now += self._duration(element.find("duration"))
                    farthest = max(farthest, now)
                case "attributes":
                    self._take_attributes(element)
                case "barline":
                    self._take_repeat(element)
                case "direction" | "sound":
                    self.jumps += sum(map(_is_jump, element.iter("sound")))
        meter = self._bar_quarters()
        if repeated := self._repeated(self.notes[notes:]):
            self.notes += repeated
            last = max(last, *(note.end for note in repeated))
            farthest = max(farthest, last)
        if len(self.notes) > notes:
            self.lengths.append(MeasureLength(farthest, last, 0.0, meter))
        else:
            self.lengths.append(MeasureLength(0.0, 0.0, farthest, meter))

    def _repeated(self, written: Iterable[WrittenNote]) -> list[WrittenNote]:
        """The notes that a sign such as % repeats in this measure, where a program omits them."""
        filled = {note.staff for note in written}
        now = len(self.lengths)
        found = [
            note._replace(measure=now)
            for staff, back in self._repeats_of_measures.items()
            for note in self._notes_of(now - back)
            if (note.staff == staff or not staff) and note.staff not in filled
        ]
        return list(dict.fromkeys(found))

    def _notes_of(self, measure: int) -> list[WrittenNote]:
        """The notes of a measure."""
        first, after = (bisect_left(self.notes, n, key=_measure_of) for n in (measure, measure + 1))
        return self.notes[first:after]

    def _duration(self, element: Element | None) -> float:
        return min(_number(element) / self._divisions, _MAX_MEASURE_QUARTERS)

    def _note_duration(self, fields: Mapping[str, Element]) -> float:
        """A note's duration; where scanning programs leave it out, that of its type and dots."""
        name = (fields["type"].text or "").strip() if "type" in fields else ""
        if "duration" in fields or "grace" in fields or name not in _TYPES:
            return self._duration(fields.get("duration"))
        return _TYPES[name] * (1.5 if "dot" in fields else 1.0)

    def _bar_quarters(self) -> float:
        if not self.meters:
            return 4.0
        _, over, under = self.meters[-1]
        return 4 * over / under

    def _take_note(
        self, note: Element, fields: dict[str, Element], start: float, duration: float
    ) -> None:
        if "rest" in fields:
            return
        staff = _staff(fields.get("staff"))
        if "unpitched" in fields or self._is_percussion or staff in self._percussion_staves:
            self.unpitched += 1
            return
        pitch = self._pitch(fields.get("pitch"), staff)
        notations = note.findall("notations")
        harmonic = next((h for element in notations for h in element.iter("harmonic")), None)
        what = _unheard(fields, harmonic, pitch, duration)
        if what:
            self.left_out[what] += 1
            return
        self.harmonics += harmonic is not None and any(
            harmonic.find(place) is not None for place in ("base-pitch", "touching-pitch")
        )
        ties = note.findall("tie") or [t for element in notations for t in element.iter("tied")]
        kinds = {tie.get("type") for tie in ties}
        self.notes.append(
            WrittenNote(
                len(self.lengths), start, start + duration, pitch, staff,
                (fields["voice"].text or "") if "voice" in fields else "",
                tied_from=not kinds.isdisjoint({"stop", "continue"}),
                tied_on=not kinds.isdisjoint({"start", "continue"}),
                has_fermata=any(element.find("fermata") is not None for element in notations),
            )
        )  # fmt: skip

    def _pitch(self, pitch: Element | None, staff: int) -> int:
        """The MIDI note that sounds; -1 if there is none."""
        if pitch is None:
            return -1
        letter = _LETTERS.get((pitch.findtext("step") or "").strip().upper())
        octave = _number(pitch.find("octave"), math.nan)
        if letter is None or math.isnan(octave):
            return -1
        sounding = 12 * (octave + 1) + letter + _number(pitch.find("alter"), low=-99)
        transposition = self._transposition.get(staff, self._transposition.get(0, 0))
        found = round(min(sounding, 999)) + transposition
        self.between += sounding % 1 != 0
        return found if 0 <= found <= 127 else -1

    def _take_attributes(self, attributes: Element) -> None:
        for element in attributes:
            match element.tag:
                case "divisions":
                    self._divisions = _number(element) or 1.0
                case "staves":
                    self._staves = min(max(1, int(_number(element, 1))), MAX_STAVES)
                case "measure-style":
                    self._take_measure_style(element)
                case "transpose":
                    staff = int(min(_number(element.get("number")), MAX_STAVES))
                    octaves = _number(element.find("octave-change"), low=-20)
                    semitones = _number(element.find("chromatic"), low=-99) + 12 * octaves
                    self._transposition[staff] = round(min(semitones, 999))
                case "clef":
                    staff = _staff(element.get("number"))
                    sign = (element.findtext("sign") or "").strip()
                    is_percussion = sign == "percussion"
                    self._tablatures |= {staff} if sign == "TAB" else set()
                    self._percussion_staves -= {staff}
                    self._percussion_staves |= {staff} if is_percussion else set()
                case "time" if element.get("number", "1") == "1":
                    self._take_meter(element)
        key = attributes.find("key")
        if key is not None and self.key_signature is None:
            self.key_signature = self._key_signature(key)

    def _take_measure_style(self, style: Element) -> None:
        """Begin or end a repeat of one or several measures."""
        repeat = style.find("measure-repeat")
        if repeat is not None:
            staff = int(min(_number(style.get("number")), MAX_STAVES))
            count = int(min(_number(repeat, 1), _MAX_REPEATED_MEASURES))
            if repeat.get("type") == "stop":
                self._repeats_of_measures.pop(staff, None)
            else:
                self._repeats_of_measures[staff] = count

    def _take_meter(self, time: Element) -> None:
        """Add a time signature; one of several fractions, such as 3/4+2/8, is their sum.

        Of interchangeable ones, such as 3/4 and 6/8, the first counts.
        """
        pairs = [
            (sum(map(_number, (beats.text or "").split("+"))), _number(beat_type))
            for beats, beat_type in zip(
                time.findall("beats"), time.findall("beat-type"), strict=False
            )
        ]
        under = int(min(max((under for _, under in pairs), default=0), 64))
        if under < 1 or any(not value for pair in pairs for value in pair):
            return  # Such as senza misura.
        over = round(min(sum(under * beats / beat_type for beats, beat_type in pairs), 64))
        if over:
            self.meters.append((len(self.lengths), over, under))

    def _key_signature(self, key: Element) -> KeySignature | None:
        """A key signature as it sounds: written D major is C major on a clarinet in B-flat."""
        fifths = _number(key.find("fifths"), math.nan, low=-9)
        if fifths not in _FIFTHS:
            return None
        written = round(fifths)
        mode = _MODES.get((key.findtext("mode") or "").strip().casefold())
        semitones = self._transposition.get(1, self._transposition.get(0, 0)) % 12
        return KeySignature((written + 7 * semitones + 5) % 12 - 5 if semitones else written, mode)

    def _take_repeat(self, barline: Element) -> None:
        self.endings += sum(ending.get("type") == "start" for ending in barline.iter("ending"))
        for repeat in barline.iter("repeat"):
            self.repeats.append((len(self.lengths), repeat.get("direction") == "forward"))


def _measure_of(note: WrittenNote) -> int:
    return note.measure


def _is_jump(sound: Element) -> bool:
    return any(sound.get(jump, "no") != "no" for jump in _JUMPS)


def _staff(source: Element | str | None) -> int:
    return min(max(1, int(_number(source, 1))), MAX_STAVES)


def _unheard(
    fields: Mapping[str, Element], harmonic: Element | None, pitch: int, duration: float
) -> str:
    """What a note is that does not sound, in the plural; "" if it does."""
    if harmonic is not None and None not in map(harmonic.find, ("artificial", "touching-pitch")):
        return "places where a string is touched for a harmonic"
    if "grace" in fields:
        return "grace notes"
    if "cue" in fields:
        return "cue notes"
    if "notehead" in fields and (fields["notehead"].text or "").strip() == "slash":
        return "slashes in place of notes"
    if pitch < 0:
        return "notes that are no MIDI note"
    return "" if duration > 0 else "notes without a length"


def _number(source: Element | str | None, default: float = 0.0, low: float = 0.0) -> float:
    """The number in an element or a text, ``low`` at least; ``default`` if there is none."""
    text = source.text if isinstance(source, Element) else source
    try:
        found = float(text or "")
    except ValueError:
        return default
    return max(low, found) if math.isfinite(found) else default
