"""Tunes in ABC notation as scores: symbols in C (see ``tokens``).

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1). What is not a tune's notes
is left out: chord symbols, ornaments, grace notes, slurs, words. Of a chord the highest note is
kept; a note tied over a bar line is struck again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from appliance.errors import UsageError
from appliance.music.codecs.abc.bars import Bar, WrittenNote, bars_of, highest_note
from appliance.music.codecs.abc.grammar import State
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.sections import Section, sections_of
from appliance.music.codecs.abc.symbols import LENGTHS_IN_EIGHTHS, symbols_of
from appliance.music.codecs.abc.tokens import (
    END,
    LETTERS,
    MINOR_MODES,
    NATURAL,
    REPLAY,
    TOKEN,
)
from appliance.music.codecs.abc.tune import MAX_STEPS, Tune
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import Form, Key

MAX_BYTES = 1 << 20
MODES = {
    "": "major",
    "maj": "major",
    "ion": "major",
    "m": "minor",
    "min": "minor",
    "aeo": "minor",
    "dor": "dorian",
    "mix": "mixolydian",
}
NAMED_METERS = {"C": (4, 4), "C|": (4, 4)}
MAX_SHORT_SHARE = Fraction(1, 4)
"""A 2/4 tune of which this share of notes is shorter than an eighth is read as 4/4, with all
lengths doubled."""
MAX_STRETCH = 3
"""Eighths by which a section's last note may be made longer or shorter."""


def split_tunes(text: str) -> list[str]:
    """The tunes of a collection, each from its line ``X:`` on."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [part for part in re.split(r"(?m)^(?=X:)", text) if part.startswith("X:")]


def read(path: Path) -> AbcScore:
    """Read the first tune of a file.

    Raises:
        UsageError: there is no such file, no tune in it, or none that can be encoded; the message
            says why.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as why:
        raise UsageError(f"cannot read it: {why.strerror}", path=path) from why
    if len(content) > MAX_BYTES:
        raise UsageError("more than a megabyte is no tune", path=path)
    found = split_tunes(content.decode("utf-8", "replace"))
    if not found:
        raise UsageError("no tune in ABC is in it (one begins with a line X:1)", path=path)
    try:
        return parse(found[0], path.stem)
    except ValueError as why:
        raise UsageError(str(why), path=path) from why


def parse(text: str, name: str = "") -> AbcScore:
    """Parse one tune.

    Raises:
        ValueError: it cannot be encoded in the symbols of ``tokens``; the message says why.
    """
    fields, body = _split(text)
    signature = _key_signature(fields.get("K", ""))
    meter = _meter(fields)
    bars = bars_of(body)
    for note in _notes(bars):
        note.length *= meter.unit * 8
    bar_eighths = meter.bar_eighths
    if meter.beat_steps == 4 and bar_eighths == 4 and _has_short_notes(bars):
        bar_eighths = Fraction(8)
        for note in _notes(bars):
            note.length *= 2
    sections = sections_of(bars)
    first = sections[0].bars[0].length()
    pickup = first if first < bar_eighths else Fraction(0)
    if (pickup * 2).denominator != 1:
        raise ValueError("its upbeat is not on the 16th grid")
    _fit_bars(sections, bar_eighths, pickup)
    tonic, mode, letter = signature
    symbols = (mode, *symbols_of(sections, mode, letter, tonic))
    key = Key(tonic, mode in MINOR_MODES)
    form = Form(int(bar_eighths * 2), int(pickup * 2), 1, (), meter.beat_steps)
    return AbcScore(name, symbols, key, form._replace(steps=_played_steps(symbols, form, key)))


def _played_steps(symbols: Sequence[str], form: Form, key: Key) -> int:
    """Length of a tune as it is played, in 16ths.

    Raises:
        ValueError: the grammar does not allow it.
    """
    tune = Tune(form._replace(steps=MAX_STEPS), key)
    for symbol in (*symbols, END):
        while tune.state == State.REPLAY:
            tune.accept(TOKEN[REPLAY])
        if TOKEN[symbol] not in tune.allowed_tokens():
            raise ValueError(
                "it breaks off, or is shorter than eight bars"
                if symbol == END
                else f"{symbol!r} cannot follow {''.join(tune.symbols[1:])[-20:]!r}"
            )
        tune.accept(TOKEN[symbol])
    return tune.tick // TICKS_PER_STEP


def _split(text: str) -> tuple[dict[str, str], str]:
    """The fields of the header, and the tune's body without all that is not notes."""
    fields: dict[str, str] = {}
    lines: list[str] = []
    in_body = False
    for line in text.split("\n"):
        line = re.sub(r"%.*", "", line).strip()
        field = re.match(r"([A-Za-z+]):(.*)", line)
        if field and not line.startswith("|"):
            name, value = field[1], field[2].strip()
            if in_body and name in "VKML":
                raise ValueError(f"{name}: changes within the tune")
            fields.setdefault(name, value)
            in_body = in_body or name == "K"
        elif in_body and not line:
            if lines:
                break
        elif in_body:
            lines.append(line.removesuffix("\\"))
    if not lines:
        raise ValueError("it has no notes (they follow the line K:)")
    return fields, _only_notes(" ".join(lines))


def _only_notes(body: str) -> str:
    """The text of a tune without chord symbols, ornaments, grace notes, slurs and the like."""
    body = re.sub(r'"[^"]*"|\{[^}]*\}|![^! ]*!|\+[a-zA-Z.]+\+', "", body)
    body = re.sub(r"\[([^\]|:]*[A-Ga-g][^\]|:]*)\]", highest_note, body)
    if re.search(r"\[[A-Za-z]:", body):
        raise ValueError("something changes within a line ([K:...])")
    body = re.sub("x(?=[^a-z])", "z", body)
    return re.sub(r"[!~.HLMOPSTuvyJRk`*\\]|\((?!\d)|\)", "", body)


def _key_signature(value: str) -> tuple[int, str, int]:
    """The tonic's pitch class, the mode, and the tonic's letter, C = 0."""
    found = re.fullmatch(r"([A-G])([#b]?)\s*([A-Za-z]*)\s*", value)
    mode = MODES.get(found[3].lower()[:3]) if found else None
    if found and found[3] == "M":
        mode = "major"
    if not found or mode is None:
        raise ValueError(
            f"K:{value} is no key that Bachbox knows; allowed: C to B, # or b, and "
            "nothing, m, dor or mix"
        )
    letter = LETTERS.index(found[1])
    sharp = {"#": 1, "b": -1, "": 0}[found[2]]
    return (NATURAL[letter] + sharp) % 12, mode, letter


class _Meter(NamedTuple):
    unit: Fraction
    """The length of a note that says none, as a part of a whole note."""
    bar_eighths: Fraction
    beat_steps: int


def _meter(fields: dict[str, str]) -> _Meter:
    """What the fields ``M:`` and ``L:`` say."""
    value = fields.get("M", "4/4")
    if value in NAMED_METERS:
        over, under = NAMED_METERS[value]
    elif found := re.fullmatch(r"(\d+)/([248])", value):
        over, under = int(found[1]), int(found[2])
    else:
        raise ValueError(f"M:{value} is no meter that Bachbox knows (such as 4/4, C|, 6/8)")
    unit = fields.get("L") or ("1/16" if Fraction(over, under) < Fraction(3, 4) else "1/8")
    if not re.fullmatch(r"1/(1|2|4|8|16|32)", unit):
        raise ValueError(f"L:{unit} is no length of a note (such as 1/8)")
    beat = 6 if under == 8 and over % 3 == 0 else 16 // under
    bar = Fraction(8 * over, under)
    if not 4 <= bar <= 12 or (bar * 2) % beat:
        raise ValueError(f"M:{value}: bars as short or as long as that are not played")
    return _Meter(Fraction(unit), bar, beat)


def _notes(bars: Sequence[Bar]) -> Iterator[WrittenNote]:
    return (note for bar in bars for note in bar.notes)


def _has_short_notes(bars: Sequence[Bar]) -> bool:
    notes = list(_notes(bars))
    return sum(note.length < 1 for note in notes) >= MAX_SHORT_SHARE * len(notes)


def _fit_bars(sections: list[Section], whole: Fraction, pickup: Fraction) -> None:
    """Make every bar full, and let a section's last bar leave room for the next upbeat.

    Printed books often write a last bar in full where an upbeat follows. Its last note is made
    shorter then, or longer in the opposite case.

    Args:
        sections: changed in place; lengths in eighths.
        whole: length of a bar.
        pickup: length of the tune's upbeat.

    Raises:
        ValueError: a bar or an upbeat does not fit.
    """
    upbeats = []
    for section in sections:
        first = section.bars[0].length()
        upbeat = first if first < whole else Fraction(0)
        if upbeat not in (0, pickup):
            raise ValueError("its sections have different upbeats")
        upbeats.append(upbeat)
    for n, section in enumerate(sections):
        following = upbeats[n + 1] if n + 1 < len(sections) else upbeats[n]
        _fit_section(section, whole, upbeats[n], following)


def _fit_section(section: Section, whole: Fraction, upbeat: Fraction, following: Fraction) -> None:
    """The same for one section with its own upbeat and that of the section after it."""
    last_bars = section.last_bars()
    for bar in last_bars:
        last_time = section.second[-1:] == [bar] or not section.repeated
        next_upbeat = following if last_time else upbeat
        if not last_time and not section.second and next_upbeat != following:
            raise ValueError("an upbeat that its repeat does not have")
        _stretch(bar, whole - next_upbeat - bar.length())
    for bar in section.bars[1 if upbeat else 0 :] + section.first + section.second:
        if bar.length() != whole and not any(bar is last for last in last_bars):
            raise ValueError(f"a bar has {bar.length()} eighths instead of {whole}")


def _stretch(bar: Bar, by: Fraction) -> None:
    """Make a bar longer by some eighths, or shorter if ``by`` is negative."""
    while by:
        if not bar.notes or bar.notes[-1].group or abs(by) > MAX_STRETCH:
            raise ValueError("a section's last bar is too long or too short")
        note = bar.notes[-1]
        length = max(Fraction(0), note.length + by) if note.rest else note.length + by
        if length not in (0, *LENGTHS_IN_EIGHTHS) or (length == 0 and not note.rest):
            raise ValueError("a section's last bar is too long or too short")
        by -= length - note.length
        note.length = length
        if not length:
            bar.notes.pop()
