"""The sections of a tune as symbols in C."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from appliance.music.codecs.abc.bars import Bar, WrittenNote
from appliance.music.codecs.abc.header import KeySignature
from appliance.music.codecs.abc.sections import Section
from appliance.music.codecs.abc.text import LineError
from appliance.music.codecs.abc.tokens import (
    GROUPED,
    HIGHEST_DEGREE,
    LENGTHS,
    LOWEST_DEGREE,
    NATURAL,
    UNIT_TICKS,
    alterations_of,
    degree_symbol,
)

LENGTHS_IN_EIGHTHS = {Fraction(1): ""} | {
    Fraction(ticks, UNIT_TICKS): symbol for symbol, ticks in LENGTHS.items()
}
"""The lengths of notes that symbols can write, in eighths, each with its symbol."""
SECTION_LINES = {
    ("", True): "|:",
    ("", False): "",
    (":|", True): "::",
    (":|", False): ":|",
    ("||", True): "|:",
    ("||", False): "||",
}
"""The bar line before a section, by how the one before it ends, and whether this one repeats."""


def symbols_of(sections: Sequence[Section], key: KeySignature) -> list[str]:
    """A tune in symbols, without the mode that it begins with.

    Args:
        sections: with lengths in eighths.
        key: that the tune is in.

    Raises:
        LineError: a note has a pitch or a length that no symbol writes.
    """
    found: list[str] = []
    before, of_mode = "", alterations_of(key.letter, key.tonic, key.mode)
    for section in sections:
        line = SECTION_LINES[before, section.repeated]
        found += [line] if line else []
        for opening, part in (("", section.bars), ("|1", section.first), (":|2", section.second)):
            found += [opening] if opening and part else []
            for n, bar in enumerate(part):
                found += ["|"] if n else []
                found += _bar_symbols(bar, _PitchWriter(key, of_mode))
        before = ":|" if section.repeated and not section.second else "||"
    return [*found, ":|"] if before == ":|" else found


def _bar_symbols(bar: Bar, pitches: _PitchWriter) -> list[str]:
    found: list[str] = []
    for note in bar.notes:
        try:
            length = _length_symbol(note)
            found += ["(3"] if note.group == "(3" else []
            found += ["z"] if note.rest else pitches.symbols(note)
        except ValueError as why:
            raise LineError(bar.line_number, str(why)) from why
        found += [length] if length else []
        found += [note.group] if note.group in (">", "<") else []
    return found


def _length_symbol(note: WrittenNote) -> str:
    """The symbol of a note's length; "" for the length that needs none."""
    symbol = LENGTHS_IN_EIGHTHS.get(note.length)
    if symbol is None:
        raise ValueError(f"a note of {note.length} eighths, which no tune of Bachbox has")
    if note.group and note.length * UNIT_TICKS not in GROUPED:
        raise ValueError(f"a pair or triplet of notes of {note.length} eighths")
    return symbol


class _PitchWriter:
    """Writes the pitches of one bar as accidentals and scale degrees.

    Args:
        key: by which the text is read.
        of_mode: semitones by which the symbols' mode raises each letter.
    """

    def __init__(self, key: KeySignature, of_mode: Sequence[int]) -> None:
        self._letter = key.letter
        self._in_key = key.alterations
        self._of_mode = of_mode
        self._read: dict[int, int] = {}
        """What the text's accidentals have made of a letter, in semitones from natural."""
        self._written: dict[int, int] = {}
        """What the symbols have made of a degree, in semitones from what the mode has."""

    def symbols(self, note: WrittenNote) -> list[str]:
        """The symbols for a note's pitch.

        Raises:
            ValueError: it is out of range, or too far from the key.
        """
        step = note.step % 7
        in_key = note.in_key or self._in_key
        if note.alter is not None:
            self._read[step] = note.alter
        degree, by = self._respelled(note.step, self._read.get(step, in_key[step]))
        if not LOWEST_DEGREE <= degree <= HIGHEST_DEGREE:
            raise ValueError("it goes too high or too low; move the notes by an octave")
        if by == self._written.get(degree % 7, 0):
            return [degree_symbol(degree)]
        self._written[degree % 7] = by
        return [{1: "^", -1: "_", 0: "="}[by], degree_symbol(degree)]

    def _respelled(self, white_key: int, alter: int) -> tuple[int, int]:
        """The degree of a note, and its distance from the mode: at most a semitone.

        A double sharp or flat is written as its neighbor, which sounds the same.
        """
        by = alter - self._of_mode[white_key % 7]
        while abs(by) > 1:
            towards = 1 if by > 0 else -1
            sounding = _semitones(white_key) + alter
            white_key += towards
            alter = sounding - _semitones(white_key)
            by = alter - self._of_mode[white_key % 7]
        return white_key - self._letter, by


def _semitones(white_key: int) -> int:
    """Semitones above middle C."""
    return 12 * (white_key // 7) + NATURAL[white_key % 7]
