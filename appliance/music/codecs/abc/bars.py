"""A tune's body in ABC as bars: the notes as written, before key and meter are applied.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from typing import Final, NamedTuple

from appliance.common.text import quoted
from appliance.music.codecs.abc.text import Line, LineError
from appliance.music.codecs.abc.tokens import LETTERS

UNIT_MARK: Final = "\x01"
"""Before the denominator of a field ``L:`` within the notes."""
KEY_MARK: Final = "\x02"
"""Before the alterations of a field ``K:`` within the notes, see :func:`key_mark`."""
METER_MARK: Final = "\x03"
"""Before the length of a bar, such as 3/4, where a field ``M:`` within the notes changes it."""
_KEY_OFFSET: Final = 4
"""Added to alterations, so that each of them is one digit."""
SYMBOLS: Final = re.compile(
    r"(?P<bar>::|:\]|:\|+[:\]]?|\|+:|\|+\]|\[\|\]?|\|+|:)"
    r"(?:\s{0,8}\[?(?P<ending>\d{1,2}(?:[,-]\d{1,2}){0,9}(?![\d,.-])))?"
    r"|\[(?P<inner>\d{1,2}(?:[,-]\d{1,2}){0,9})(?![\d,.-])"
    r"|\((?P<tuplet>\d{1,2})(?P<ratio>:\d{0,2}(?::\d{0,2})?)?"
    r"|(?P<accidental>\^\^?|__?|=)?(?P<note>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<over>\d+)?(?P<under>/+\d*)?"
    r"|(?P<broken>>+|<+)|(?P<tie>-)|\x01(?P<unit>\d+)|\x02(?P<key>\d{7})"
    r"|\x03(?P<meter>\d+/\d+)|(?P<other>\S)"
)
_MANY_TIMES: Final = re.compile(r"\|::(?!\|)|(?<!\|)::\||:::")
"""Two colons beside a bar line; ``|::|`` ends one repeat and begins the next."""
MAX_DIGITS: Final = 4
"""Of a length of a note, and of the slashes after it."""
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
    """In eighths."""
    rest: bool = False
    group: str = ""
    """``(3`` at a triplet's first note, ``3`` at its others; ``>`` or ``<`` at the first note of a
    broken rhythm, ``2`` at its second."""
    tuplet: str = ""
    """The tuplet that it is in, if that is not a triplet; the length has been adapted to it."""
    in_key: tuple[int, ...] | None = None
    """By how many semitones the key raises each letter, after a change of key in the tune."""
    tied: bool = False
    """A tie leads from it to the next note."""


@dataclass
class Bar:
    """Notes between two bar lines."""

    notes: list[WrittenNote]
    line: str
    """The bar line at its end."""
    line_number: int = 0
    """Where it ends, in the file."""
    whole: Fraction | None = None
    """How long it should be, in eighths, if the meter has changed within the tune."""
    is_split: bool = False
    """The ending that follows begins within it, so that it belongs to every ending."""

    def length(self) -> Fraction:
        """Length of all notes, in eighths."""
        # Integers with one denominator: adding fractions takes ten times as long.
        over, under = 0, 1
        for note in self.notes:
            note_over, note_under = note.length.as_integer_ratio()
            if "3" in note.group:
                note_over, note_under = 2 * note_over, 3 * note_under
            if under % note_under:
                over, under = over * note_under, under * note_under
            over += note_over * (under // note_under)
        return Fraction(over, under)


class Bars(NamedTuple):
    """A tune's bars, and what was interpreted."""

    bars: list[Bar]
    notices: list[str]


def bars_of(
    lines: Sequence[Line],
    unit: Fraction,
    *,
    compound: bool,
    freely: bool = False,
    max_unknown_signs: int = 0,
) -> Bars:
    """Split the notes of a tune into bars, each with the bar line at its end.

    Args:
        lines: without header, chord symbols, ornaments, grace notes, slurs and words.
        unit: the length of a note that states none, as a part of a whole note.
        compound: the meter's beats are dotted.
        freely: endings may begin within a bar; broken rhythms may have double dots or rests.
        max_unknown_signs: up to this number are passed over, each with a notice.

    Raises:
        LineError: a symbol is not known, or stands where it must not; the message says which.
    """
    scanner = _Scanner(unit, compound, freely, max_unknown_signs)
    text = "\n".join(line.text for line in lines)
    if _MANY_TIMES.search(text):
        scanner.notices.append(
            "repeats for more than two times: each part was read as played twice"
        )
    starts = list(accumulate((len(line.text) + 1 for line in lines), initial=0))
    for symbol in SYMBOLS.finditer(text):
        number = lines[bisect_right(starts, symbol.start()) - 1].number
        scanner.line_number = number
        try:
            scanner.take(symbol)
        except ValueError as why:
            raise LineError(number, str(why)) from why
    return Bars(scanner.finish(), scanner.notices)


class _Scanner:
    """Collects notes into bars, symbol by symbol."""

    def __init__(self, unit: Fraction, compound: bool, freely: bool, max_unknown: int) -> None:
        self._freely = freely
        self._unknown_left = max_unknown
        self.line_number = 0
        """Of the present symbol."""
        self.notices: list[str] = []
        self._unit = unit * 8
        """The length of a note that states none, in eighths."""
        self._lengths: dict[tuple[str, str], Fraction] = {}
        """The lengths so far, by their digits before and after the slashes."""
        self._in_key: tuple[int, ...] | None = None
        self._compound = compound
        self._bars: list[Bar] = []
        self._notes: list[WrittenNote] = []
        """Of the bar that is not closed yet."""
        self._broken = ""
        """The broken rhythm whose second note is still to come."""
        self._triplet_left = 0
        self._tuplet_left = 0
        """Notes still to come of a tuplet that is not a triplet."""
        self._tuplet = ("", Fraction(1))
        """That tuplet as it is written, and the factor of its notes' lengths."""
        self._broken_length = Fraction(1)
        """The factor of the next note's length, after a broken rhythm that is not a pair."""
        self._whole: Fraction | None = None
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
            self._ending(self._ending_number(symbol["inner"]))
        elif symbol["tuplet"]:
            self._start_tuplet(symbol[0], symbol["tuplet"], symbol["ratio"] or "")
        elif symbol["note"]:
            self._note(symbol)
        elif symbol["broken"]:
            self._broken_rhythm(symbol["broken"])
        elif symbol["tie"]:
            self._tie = True
        elif symbol["unit"]:
            self._unit, self._lengths = Fraction(8, int(symbol["unit"])), {}
        elif symbol["key"]:
            self._in_key = tuple(int(digit) - _KEY_OFFSET for digit in symbol["key"])
        elif symbol["meter"]:
            self._whole = Fraction(symbol["meter"]) * 8
        elif self._unknown_left:
            self._unknown_left -= 1
            sign = quoted(symbol["other"])
            self.notices.append(f"line {self.line_number}: the sign {sign} was passed over")
        else:
            raise ValueError(
                f"{quoted(symbol['other'])} is not a symbol that Bachbox knows; delete it"
            )

    def _start_tuplet(self, text: str, count: str, ratio: str) -> None:
        """``(p:q:r``: p notes in the time of q, for the next r notes."""
        if self._triplet_left or self._tuplet_left or self._broken:
            raise ValueError(f"the tuplet {text} begins within another group; remove one of them")
        p = int(count)
        usual = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}.get(p, 3 if self._compound else 2)
        q, r = ([int(part or 0) for part in ratio.split(":")[1:]] + [0, 0])[:2]
        q, r = q or usual, r or p
        if (p, q, r) == (3, 2, 3):
            self._triplet_left = 3
        elif p > 1:
            self._tuplet_left, self._tuplet = r, (text, Fraction(q, p))
        else:
            raise ValueError(f"{text} is not a tuplet (such as (3)")

    def finish(self) -> list[Bar]:
        """All bars.

        Raises:
            ValueError: the text ends within a broken rhythm or a triplet.
        """
        if self._broken or self._triplet_left or self._tuplet_left:
            raise LineError(self.line_number, "it breaks off within a broken rhythm or a tuplet")
        if self._notes:
            self._close("|")
        return self._bars

    def _bar_line(self, symbol: re.Match[str]) -> None:
        if self._broken or self._triplet_left or self._tuplet_left:
            raise ValueError("a bar line cuts a broken rhythm or a triplet")
        if symbol["bar"] == ":]" and not self._freely:
            raise ValueError("':]' is not a bar line; write ':|'")
        ending = self._ending_number(symbol["ending"]) if symbol["ending"] else None
        line = _bar_line(symbol["bar"], ending)
        if self._notes:
            self._notes[-1].tied |= self._tie
            self._close(line)
        elif self._bars:
            self._bars[-1].line = _merged(self._bars[-1].line, line)
        elif self._at_start:
            self._bars.append(Bar([], line, self.line_number))
        self._at_start = self._tie = False

    def _close(self, line: str, *, is_split: bool = False) -> None:
        """End the present bar."""
        self._bars.append(Bar(self._notes, line, self.line_number, self._whole, is_split))
        self._notes = []

    def _ending_number(self, numbers: str) -> str:
        """1 if an ending is for the first time, 2 if it is for a later one."""
        notice = "endings for more than two times: each part was read as played twice"
        if numbers not in ("1", "2") and notice not in self.notices:
            self.notices.append(notice)
        return "1" if "1" in re.split("[,-]", numbers) else "2"

    def _ending(self, number: str) -> None:
        """The bracket of a first or second ending, apart from its bar line."""
        if self._broken or self._triplet_left or self._tuplet_left:
            raise ValueError("an ending begins within a broken rhythm or a triplet")
        if self._notes and self._freely:
            self._close(_bar_line("|", number), is_split=True)
            return
        if self._notes or not self._bars:
            raise ValueError("an ending begins within a bar")
        self._bars[-1].line = _merged(self._bars[-1].line, _bar_line("|", number))

    def _note(self, symbol: re.Match[str]) -> None:
        rest = symbol["note"] == "z"
        note = WrittenNote(
            step=0 if rest else white_key(symbol["note"], symbol["octave"]),
            alter=ALTERATIONS[symbol["accidental"]],
            length=self._length(symbol["over"] or "", symbol["under"] or ""),
            rest=rest,
            in_key=self._in_key,
        )
        if self._tuplet_left:
            self._tuplet_left -= 1
            note.tuplet = self._tuplet[0]
            note.length *= self._tuplet[1]
        if self._triplet_left:
            note.group = "(3" if self._triplet_left == 3 else "3"
            self._triplet_left -= 1
        elif self._broken:
            note.group, self._broken = "2", ""
        note.length *= self._broken_length
        self._broken_length = Fraction(1)
        if self._tie and self._notes and _can_be_tied(self._notes[-1], note):
            self._notes[-1].length += note.length
        else:
            if self._notes:
                self._notes[-1].tied |= self._tie
            self._notes.append(note)
        self._tie = False

    def _length(self, over: str, under: str) -> Fraction:
        """The length of a note in eighths."""
        # Fractions are slow, and a book has few lengths.
        if (over, under) not in self._lengths:
            self._lengths[over, under] = _stated_length(over, under) * self._unit
        return self._lengths[over, under]

    def _broken_rhythm(self, symbol: str) -> None:
        last = self._notes[-1] if self._notes else None
        if last and len(symbol) == 1 and not (last.group or last.rest):
            last.group = self._broken = symbol
            return
        if not (last and self._freely) or self._broken or len(symbol) > MAX_DIGITS:
            raise ValueError("a broken rhythm is not a pair of notes")
        # Double dots, rests, and notes of triplets have no symbol: their lengths are changed.
        part = Fraction(1, 2 ** len(symbol))
        longer, shorter = 2 - part, part
        is_long_first = symbol[0] == ">"
        last.length *= longer if is_long_first else shorter
        self._broken_length = shorter if is_long_first else longer


def key_mark(alterations: Sequence[int]) -> str:
    """What stands among the notes for a new key, which raises each letter by so many semitones."""
    return KEY_MARK + "".join(str(alteration + _KEY_OFFSET) for alteration in alterations)


def _stated_length(over: str, under: str) -> Fraction:
    """The length of a note in the unit of ``L:``, by its digits before and after the slashes.

    Raises:
        ValueError: there are too many digits, or it is divided by zero.
    """
    if len(over) > MAX_DIGITS or len(under) > MAX_DIGITS + 1:
        raise ValueError(f"a length of {quoted(over + under)}; allowed: a few digits, such as 3/2")
    divisor = int(under.strip("/") or 2 ** len(under)) if under else 1
    if not divisor:
        raise ValueError("a length is divided by zero")
    return Fraction(int(over or 1), divisor)


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
    if line.startswith((":|", ":]")):
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


def highest_note(chord: str, length: str) -> str:
    """The text of the highest note of a chord; "" if it has none.

    Args:
        chord: what is between the brackets.
        length: what follows them; it multiplies the note's own length.
    """
    found = list(re.finditer(r"((?:\^\^?|__?|=)?([A-Ga-g])([,']*))([\d/]*)", chord))
    if not found:
        return ""
    highest = max(found, key=lambda note: white_key(note[2], note[3]))
    if not (length and highest[4]):
        return highest[1] + highest[4] + length
    product = _length(highest[4]) * _length(length)
    return f"{highest[1]}{product.numerator}/{product.denominator}"


def _length(text: str) -> Fraction:
    """A length as it is written; 1 if it cannot be read."""
    found = re.fullmatch(r"(\d{1,4})?(/{1,4})?(\d{1,4})?", text)
    if not found or (found[3] and int(found[3]) == 0):
        return Fraction(1)
    slashes = len(found[2] or "")
    return Fraction(int(found[1] or 1), int(found[3] or 2**slashes) if slashes else 1)


def white_key(letter: str, octave: str) -> int:
    """White keys above middle C, of a letter and its octave marks (commas and apostrophes)."""
    return (
        LETTERS.index(letter.upper())
        + 7 * letter.islower()
        + 7 * (octave.count("'") - octave.count(","))
    )
