"""Which parts and staves a piece is written on: four voices, two hands, or one instrument."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from appliance.music import kinds
from appliance.music.events import NO_PROGRAM, Piece
from appliance.music.notes import Note
from appliance.music.playability import KEYBOARDS

VOICE_NAMES: Final = ("Soprano", "Alto", "Tenor", "Bass")
_MIN_FULL_SHARE: Final = 0.6
"""Four voices sound together for at least this share of a piece in four parts."""
_GRAND_STAFF_RANGE: Final = (48, 71)
"""Without an instrument, music that goes below and above these notes needs two staves."""
_MIDDLE_C: Final = 60
_NEAR_SEMITONES: Final = 4
"""A note so near to the last one of a hand stays in this hand."""
_HANDS_OVERLAP: Final = (53, 67)
"""Where either hand may play."""


class Clef(NamedTuple):
    """A clef: its sign, its line, and by how many octaves the notes sound higher."""

    sign: str
    line: int
    octave_change: int = 0


TREBLE: Final = Clef("G", 2)
TENOR: Final = Clef("G", 2, -1)
ALTO: Final = Clef("C", 3)
BASS: Final = Clef("F", 4)

_INSTRUMENTS: Final[dict[int, tuple[str, Clef]]] = {
    24: ("Guitar", TENOR),
    40: ("Violin", TREBLE),
    41: ("Viola", ALTO),
    42: ("Violoncello", BASS),
    43: ("Contrabass", BASS),
    68: ("Oboe", TREBLE),
    70: ("Bassoon", BASS),
    71: ("Clarinet", TREBLE),
    73: ("Flute", TREBLE),
    74: ("Recorder", TREBLE),
}
"""Names and clefs of instruments that pieces are written for, by General MIDI program."""


class Staff(NamedTuple):
    """A clef and the notes below it, in the order of their beginnings."""

    clef: Clef
    notes: list[Note]


class Part(NamedTuple):
    """A player: a singer, a violin, or both hands at a keyboard."""

    name: str
    program: int
    """General MIDI program; ``NO_PROGRAM``: that of the settings."""
    staves: tuple[Staff, ...]
    """One, or two for a right and a left hand."""

    @property
    def staff_names(self) -> tuple[str, ...]:
        """A name for each staff."""
        if len(self.staves) == 1:
            return (self.name,)
        return (f"{self.name}, right hand", f"{self.name}, left hand")


def parts_of(about: Piece, notes: Sequence[Note]) -> list[Part]:
    """The parts of a piece; every staff has notes, unless the piece has none.

    Args:
        about: the piece.
        notes: in the order of their beginnings, with their voices.
    """
    voices: dict[int, list[Note]] = defaultdict(list)
    for note in notes:
        voices[note.voice].append(note)
    if _is_in_four_parts(about, voices):
        clefs = (TREBLE, TREBLE, TENOR, BASS)
        return [
            Part(name, about.program, (Staff(clefs[voice], voices[voice]),))
            for voice, name in enumerate(VOICE_NAMES)
        ]
    pitches = [note.pitch for note in notes] or [_MIDDLE_C]
    if _needs_two_staves(about, min(pitches), max(pitches)):
        hands = _hands(notes)
        if all(hands):
            staves = (Staff(TREBLE, hands[0]), Staff(BASS, hands[1]))
            return [Part("Keyboard", about.program, staves)]
    mean = sum(pitches) / len(pitches)
    by_range = TREBLE if mean >= _MIDDLE_C else BASS
    keyboard = "Keyboard" if about.program in KEYBOARDS else "Melody"
    name, clef = _INSTRUMENTS.get(about.program, (keyboard, by_range))
    return [Part(name, about.program, (Staff(clef, list(notes)),))]


def _is_in_four_parts(about: Piece, voices: Mapping[int, Sequence[Note]]) -> bool:
    if sorted(voices) != list(range(len(VOICE_NAMES))) or about.program != NO_PROGRAM:
        return False
    kind = kinds.NAMES[about.kind]
    if kind:
        return kind == "chorale"
    total = sum(note.length for notes in voices.values() for note in notes)
    last = max(note.end for notes in voices.values() for note in notes)
    return total >= _MIN_FULL_SHARE * len(VOICE_NAMES) * last


def _needs_two_staves(about: Piece, lowest: int, highest: int) -> bool:
    if about.program != NO_PROGRAM:
        return about.program in KEYBOARDS
    return lowest < _GRAND_STAFF_RANGE[0] and highest > _GRAND_STAFF_RANGE[1]


def _hands(notes: Sequence[Note]) -> tuple[list[Note], list[Note]]:
    """The notes of the right and of the left hand: above and below middle C.

    A line that crosses middle C stays in its hand, as far as the hands overlap.
    """
    hands: tuple[list[Note], list[Note]] = ([], [])
    for note in notes:
        hand = int(note.pitch < _MIDDLE_C)
        low, high = _HANDS_OVERLAP
        if low <= note.pitch <= high:
            distances = [
                abs(played[-1].pitch - note.pitch)
                if played and played[-1].end >= note.start - note.length
                else 128
                for played in hands
            ]
            nearest = distances.index(min(distances))
            if distances[nearest] <= _NEAR_SEMITONES:
                hand = nearest
        hands[hand].append(note)
    return hands
