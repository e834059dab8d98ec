"""The sections of a tune as symbols in C."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from appliance.music.codecs.abc.bars import Bar, WrittenNote
from appliance.music.codecs.abc.sections import Section
from appliance.music.codecs.abc.tokens import (
    GROUPED,
    HIGHEST_DEGREE,
    LENGTHS,
    LOWEST_DEGREE,
    UNIT_TICKS,
    alterations_of,
    degree_symbol,
)

LENGTHS_IN_EIGHTHS = {Fraction(ticks, UNIT_TICKS) for ticks in (UNIT_TICKS, *LENGTHS.values())}
"""The lengths of notes that symbols can write, in eighths."""
SECTION_LINES = {
    ("", True): "|:",
    ("", False): "",
    (":|", True): "::",
    (":|", False): ":|",
    ("||", True): "|:",
    ("||", False): "||",
}
"""The bar line before a section, by how the one before it ends, and whether this one repeats."""


def symbols_of(sections: Sequence[Section], mode: str, letter: int, tonic: int) -> list[str]:
    """A tune in symbols, without the mode that it begins with.

    Args:
        sections: with lengths in eighths.
        mode: one of ``tokens.SCALES``.
        letter: of the tonic, C = 0.
        tonic: pitch class.

    Raises:
        ValueError: a note has a pitch or a length that no symbol writes.
    """
    found: list[str] = []
    before, in_key = "", alterations_of(letter, tonic, mode)
    for section in sections:
        line = SECTION_LINES[before, section.repeated]
        found += [line] if line else []
        for opening, part in (("", section.bars), ("|1", section.first), (":|2", section.second)):
            found += [opening] if opening and part else []
            for n, bar in enumerate(part):
                found += ["|"] if n else []
                found += _bar_symbols(bar, letter, in_key)
        before = ":|" if section.repeated and not section.second else "||"
    return [*found, ":|"] if before == ":|" else found


def _bar_symbols(bar: Bar, letter: int, in_key: Sequence[int]) -> list[str]:
    found: list[str] = []
    pitches = _PitchWriter(letter, in_key)
    for note in bar.notes:
        _check_length(note)
        found += ["(3"] if note.group == "(3" else []
        found += ["z"] if note.rest else pitches.symbols(note)
        found += [s for s, ticks in LENGTHS.items() if ticks == note.length * UNIT_TICKS]
        found += [note.group] if note.group in (">", "<") else []
    return found


def _check_length(note: WrittenNote) -> None:
    if note.length not in LENGTHS_IN_EIGHTHS:
        raise ValueError(f"a note of {note.length} eighths")
    if note.group and note.length * UNIT_TICKS not in GROUPED:
        raise ValueError(f"a pair or triplet of notes of {note.length} eighths")


class _PitchWriter:
    """Writes the pitches of one bar as accidentals and scale degrees.

    Args:
        letter: of the tonic, C = 0.
        in_key: semitones by which the key raises each letter.
    """

    def __init__(self, letter: int, in_key: Sequence[int]) -> None:
        self._letter = letter
        self._in_key = in_key
        self._read: dict[int, int] = {}
        """What the text's accidentals have made of a letter, in semitones from natural."""
        self._written: dict[int, int] = {}
        """What the symbols have made of a degree, in semitones from what the key has."""

    def symbols(self, note: WrittenNote) -> list[str]:
        """The symbols for a note's pitch.

        Raises:
            ValueError: it is out of range, or too far from the key.
        """
        degree = note.step - self._letter
        if not LOWEST_DEGREE <= degree <= HIGHEST_DEGREE:
            raise ValueError("it goes too high or too low")
        step = note.step % 7
        if note.alter is not None:
            self._read[step] = note.alter
        by = self._read.get(step, self._in_key[step]) - self._in_key[step]
        if abs(by) > 1:
            raise ValueError("a note is two semitones from where the key has it")
        if by == self._written.get(degree % 7, 0):
            return [degree_symbol(degree)]
        self._written[degree % 7] = by
        return [{1: "^", -1: "_", 0: "="}[by], degree_symbol(degree)]
