"""A tune's body in ABC as bars: the notes as written, before key and meter are applied.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from appliance.music.codecs.abc.tokens import LETTERS

SYMBOLS = re.compile(
    r"(?P<bar>::|:\|+:?|\|+:|\|+\]|\[\||\|+|:)\s*\[?(?P<ending>[12](?![\d,.-]))?"
    r"|\[(?P<inner>[12])(?![\d,.-])"
    r"|\((?P<tuplet>\d)(?P<odd>:[\d:]*)?"
    r"|(?P<accidental>\^\^?|__?|=)?(?P<note>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<over>\d+)?(?P<under>/+\d*)?"
    r"|(?P<broken>>+|<+)|(?P<tie>-)|(?P<other>\S)"
)
ALTERATIONS = {None: None, "^": 1, "_": -1, "=": 0, "^^": 2, "__": -2}
"""Semitones from the natural letter, by accidental."""


@dataclass
class WrittenNote:
    """A note or rest as the text has it."""

    step: int
    """White keys above middle C; meaningless for a rest."""
    alter: int | None
    """Semitones from the natural letter; ``None`` without an accidental."""
    length: Fraction
    """In units of ``L:`` as scanned; the reader turns them into eighths."""
    rest: bool = False
    group: str = ""
    """``(3`` at a triplet's first note, ``3`` at its others; ``>`` or ``<`` at the first note of a
    broken rhythm, ``2`` at its second."""


@dataclass
class Bar:
    """Notes between two bar lines."""

    notes: list[WrittenNote]
    line: str
    """The bar line at its end."""

    def length(self) -> Fraction:
        """Length of all notes, in the unit of the notes' lengths."""
        total = Fraction(0)
        for note in self.notes:
            total += note.length * (Fraction(2, 3) if "3" in note.group else 1)
        return total


def bars_of(body: str) -> list[Bar]:
    """Split the text of a tune into bars, each with the bar line at its end.

    Args:
        body: without header, chord symbols, ornaments, grace notes, slurs and words.

    Raises:
        ValueError: a symbol is not known, or stands where it must not; the message says which.
    """
    scanner = _Scanner()
    for symbol in SYMBOLS.finditer(body):
        scanner.take(symbol)
    return scanner.finish()


class _Scanner:
    """Collects notes into bars, symbol by symbol."""

    def __init__(self) -> None:
        self._bars: list[Bar] = []
        self._notes: list[WrittenNote] = []
        """Of the bar that is not closed yet."""
        self._broken = ""
        """The broken rhythm whose second note is still to come."""
        self._triplet_left = 0
        self._tie = False
        self._at_start = True
        """No bar line has come yet."""

    def take(self, symbol: re.Match[str]) -> None:
        """Take the next symbol.

        Raises:
            ValueError: it is not known, or not allowed here.
        """
        if symbol["bar"]:
            self._bar_line(symbol)
        elif symbol["inner"]:
            self._ending(symbol["inner"])
        elif symbol["tuplet"]:
            if symbol["tuplet"] != "3" or symbol["odd"] or self._triplet_left or self._broken:
                raise ValueError("it has tuplets other than triplets of three notes")
            self._triplet_left = 3
        elif symbol["note"]:
            self._note(_written_note(symbol))
        elif symbol["broken"]:
            self._broken_rhythm(symbol["broken"])
        elif symbol["tie"]:
            self._tie = True
        else:
            raise ValueError(f"{symbol['other']!r} is no symbol that Bachbox knows")

    def finish(self) -> list[Bar]:
        """All bars.

        Raises:
            ValueError: the text ends within a broken rhythm or a triplet.
        """
        if self._broken or self._triplet_left:
            raise ValueError("it breaks off")
        if self._notes:
            self._bars.append(Bar(self._notes, "|"))
        return self._bars

    def _bar_line(self, symbol: re.Match[str]) -> None:
        if self._broken or self._triplet_left:
            raise ValueError("a bar line cuts a broken rhythm or a triplet")
        line = _bar_line(symbol["bar"], symbol["ending"])
        if self._notes:
            self._bars.append(Bar(self._notes, line))
            self._notes = []
        elif self._bars:
            self._bars[-1].line = _merged(self._bars[-1].line, line)
        elif self._at_start:
            self._bars.append(Bar([], line))
        self._at_start = self._tie = False

    def _ending(self, number: str) -> None:
        """The bracket of a first or second ending, apart from its bar line."""
        if self._notes or not self._bars:
            raise ValueError("an ending begins within a bar")
        self._bars[-1].line = _merged(self._bars[-1].line, _bar_line("|", number))

    def _note(self, note: WrittenNote) -> None:
        if self._triplet_left:
            note.group = "(3" if self._triplet_left == 3 else "3"
            self._triplet_left -= 1
        elif self._broken:
            note.group, self._broken = "2", ""
        if self._tie and self._notes and _can_be_tied(self._notes[-1], note):
            self._notes[-1].length += note.length
        else:
            self._notes.append(note)
        self._tie = False

    def _broken_rhythm(self, symbol: str) -> None:
        notes = self._notes
        if len(symbol) > 1 or not notes or notes[-1].group or notes[-1].rest:
            raise ValueError("a broken rhythm is not a pair of notes")
        notes[-1].group = self._broken = symbol


def _written_note(symbol: re.Match[str]) -> WrittenNote:
    under = symbol["under"] or ""
    divisor = int(under.strip("/") or 2 ** len(under)) if under else 1
    if not divisor:
        raise ValueError("a length is divided by zero")
    rest = symbol["note"] == "z"
    return WrittenNote(
        step=0 if rest else white_key(symbol["note"], symbol["octave"]),
        alter=ALTERATIONS[symbol["accidental"]],
        length=Fraction(symbol["over"] or 1) / divisor,
        rest=rest,
    )


def _can_be_tied(first: WrittenNote, second: WrittenNote) -> bool:
    """Whether a tie within a bar makes one note of two."""
    same = first.step == second.step and not (first.rest or second.rest or second.group)
    return same and not first.group and second.alter is None


def _bar_line(line: str, ending: str | None) -> str:
    """A bar line, with the ending that begins after it, as one of ``tokens.BAR_LINES``."""
    if ending:
        return ":|2" if ending == "2" else "|1"
    if line == "::" or (line.startswith(":") and line.endswith(":") and len(line) > 1):
        return "::"
    if line.startswith(":|"):
        return ":|"
    if line.endswith(":"):
        return "|:"
    return "||" if line in ("||", "|]", "[|") else "|"


def _merged(first: str, second: str) -> str:
    """Two bar lines with nothing between them as one."""
    if {first, second} == {":|", "|:"}:
        return "::"
    order = ("|", "||", "|:", ":|", "::", "|1", ":|2")
    return max(first, second, key=order.index)


def highest_note(chord: re.Match[str]) -> str:
    """The text of the highest note of a chord in brackets; "" if it has none."""
    notes = re.findall(r"(?:\^\^?|__?|=)?([A-Ga-g])([,']*)[\d/]*", chord[1])
    whole = [m[0] for m in re.finditer(r"(?:\^\^?|__?|=)?[A-Ga-g][,']*[\d/]*", chord[1])]
    if not whole:
        return ""
    return whole[max(range(len(whole)), key=lambda n: white_key(*notes[n]))]


def white_key(letter: str, octave: str) -> int:
    """White keys above middle C, of a letter and its octave marks (commas and apostrophes)."""
    return (
        LETTERS.index(letter.upper())
        + 7 * letter.islower()
        + 7 * (octave.count("'") - octave.count(","))
    )
