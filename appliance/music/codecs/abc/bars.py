"""A tune's body in ABC as bars and sections: the notes as written, nothing reckoned yet.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from appliance.music.codecs.abc.tokens import LETTERS

SIGNS = re.compile(
    r"(?P<bar>::|:\|+:?|\|+:|\|+\]|\[\||\|+|:)\s*\[?(?P<ending>[12](?![\d,.-]))?"
    r"|\[(?P<inner>[12])(?![\d,.-])"
    r"|\((?P<tuplet>\d)(?P<odd>:[\d:]*)?"
    r"|(?P<accidental>\^\^?|__?|=)?(?P<note>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<over>\d+)?(?P<under>/+\d*)?"
    r"|(?P<broken>>+|<+)|(?P<tie>-)|(?P<other>\S)"
)


@dataclass
class Note:
    """A note or rest as it stands there."""

    step: int
    """Counted from middle C in white keys; meaningless for a rest."""
    alter: int | None
    """As written."""
    length: Fraction
    rest: bool = False
    group: str = ""
    """``(3`` at a triplet's first note, ``3`` at the others, ``>`` or ``<`` and ``2`` in pairs."""


@dataclass
class Bar:
    """Notes between two bar lines."""

    notes: list[Note]
    line: str
    """What stands at its end."""

    def units(self) -> Fraction:
        """How long it is."""
        total = Fraction(0)
        for note in self.notes:
            total += note.length * (Fraction(2, 3) if "3" in note.group else 1)
        return total


def bars_of(body: str) -> list[Bar]:
    """The text in bars, each with the line that ends it."""
    bars, notes, broken = [], list[Note](), ""
    triplet, tie = 0, False
    start = True
    for found in SIGNS.finditer(body):
        kind = found.groupdict()
        if found["bar"]:
            if broken or triplet:
                raise ValueError("a pair or triplet is cut by a bar line")
            line = _line(found["bar"], found["ending"])
            if notes:
                bars.append(Bar(notes, line))
                notes = []
            elif bars:
                bars[-1].line = _both(bars[-1].line, line)
            elif start:
                bars.append(Bar([], line))
            start = tie = False
        elif found["inner"]:
            if notes or not bars:
                raise ValueError("an ending begins within a bar")
            bars[-1].line = _both(bars[-1].line, _line("|", found["inner"]))
        elif found["tuplet"]:
            if found["tuplet"] != "3" or found["odd"] or triplet or broken:
                raise ValueError("it has tuplets other than triplets of three notes")
            triplet = 3
        elif found["note"]:
            over = Fraction(found["over"] or 1)
            under = found["under"] or ""
            divisor = int(under.strip("/") or 2 ** len(under)) if under else 1
            if not divisor:
                raise ValueError("a length is divided by nothing")
            note = Note(
                step_of(found["note"], found["octave"]) if found["note"] != "z" else 0,
                {None: None, "^": 1, "_": -1, "=": 0, "^^": 2, "__": -2}[found["accidental"]],
                over / divisor,
                rest=found["note"] == "z",
            )
            if triplet:
                note.group = "(3" if triplet == 3 else "3"
                triplet -= 1
            elif broken:
                note.group, broken = "2", ""
            if tie and notes and _tied(notes[-1], note):
                notes[-1].length += note.length
            else:
                notes.append(note)
            tie = False
        elif found["broken"]:
            if len(found["broken"]) > 1 or not notes or notes[-1].group or notes[-1].rest:
                raise ValueError("a broken rhythm that is no pair of notes")
            notes[-1].group = broken = found["broken"]
        elif found["tie"]:
            tie = True
        else:
            raise ValueError(f"{kind['other']!r} is no sign that Bachbox knows")
    if broken or triplet:
        raise ValueError("it breaks off")
    if notes:
        bars.append(Bar(notes, "|"))
    return bars


def _tied(first: Note, second: Note) -> bool:
    """A tie within a bar makes one note of two."""
    same = first.step == second.step and not (first.rest or second.rest or second.group)
    return same and not first.group and second.alter is None


def _line(line: str, ending: str | None) -> str:
    if ending:
        return ":|2" if ending == "2" else "|1"
    if line == "::" or (line.startswith(":") and line.endswith(":") and len(line) > 1):
        return "::"
    if line.startswith(":|"):
        return ":|"
    if line.endswith(":"):
        return "|:"
    return "||" if line in ("||", "|]", "[|") else "|"


def _both(first: str, second: str) -> str:
    """Two bar lines with nothing between them are one."""
    if {first, second} == {":|", "|:"}:
        return "::"
    order = ("|", "||", "|:", ":|", "::", "|1", ":|2")
    return max(first, second, key=order.index)


@dataclass
class Section:
    """Bars that are played once or twice, and what they end with each time."""

    bars: list[Bar]
    first: list[Bar]
    second: list[Bar]
    repeated: bool = False

    def ends(self) -> list[Bar]:
        """The last bar of each way through."""
        return [part[-1] for part in (self.first, self.second) if part] or self.bars[-1:]


def sections_of(bars: list[Bar]) -> list[Section]:
    """Bars put together by what is repeated; ABC lets one leave out where a repeat begins.

    Raises:
        ValueError: endings or repeats that do not fit together.
    """
    found: list[Section] = []
    section, opened = Section([], [], []), False
    part = section.bars
    for bar in bars:
        if bar.notes:
            part.append(bar)
        if bar.line == "|" or (bar.line == "||" and opened and part is section.bars):
            continue
        if bar.line == "|1":
            if part is not section.bars:
                raise ValueError("a first ending within an ending")
            section.repeated, part = True, section.first
            continue
        if bar.line == ":|2":
            if part is not section.first or not part:
                raise ValueError("a second ending without a first")
            part = section.second
            continue
        if part is section.first:
            if bar.line not in (":|", "::"):
                raise ValueError("a first ending without a second")
            section.bars, section.first = section.bars + section.first, []
        section.repeated = section.repeated or bar.line in (":|", "::")
        if section.bars:
            found.append(section)
        elif section.first or section.second or (found and bar.line in (":|", "::")):
            raise ValueError("it repeats nothing")
        section, opened = Section([], [], []), bar.line in ("|:", "::")
        part = section.bars
    if part is section.first and part:
        raise ValueError("a first ending without a second")
    if section.bars:
        found.append(section)
    if not found:
        raise ValueError("it has no notes")
    return found


def top_of(chord: re.Match[str]) -> str:
    """The highest note of a chord."""
    notes = re.findall(r"(?:\^\^?|__?|=)?([A-Ga-g])([,']*)[\d/]*", chord[1])
    whole = [m[0] for m in re.finditer(r"(?:\^\^?|__?|=)?[A-Ga-g][,']*[\d/]*", chord[1])]
    if not whole:
        return ""
    return whole[max(range(len(whole)), key=lambda n: step_of(*notes[n]))]


def step_of(letter: str, octave: str) -> int:
    """White keys from middle C."""
    return (
        LETTERS.index(letter.upper())
        + 7 * letter.islower()
        + 7 * (octave.count("'") - octave.count(","))
    )
