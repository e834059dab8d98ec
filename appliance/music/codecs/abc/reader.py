"""Tunes in ABC notation: read into signs on C (see ``abc``), and written out again.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1). What is not a tune's
notes is left out: chord symbols, ornaments, grace notes, slurs, words. Of a chord the highest note
is kept; a note tied over a bar line is struck again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from appliance.errors import UsageError
from appliance.music.codecs.abc.abc_codec import AbcScore
from appliance.music.codecs.abc.bars import Bar, Section, bars_of, sections_of, top_of
from appliance.music.codecs.abc.grammar import MAX_STEPS, Place, Tune
from appliance.music.codecs.abc.tokens import (
    AGAIN,
    END,
    GROUPED,
    HIGHEST_DEGREE,
    LENGTHS,
    LETTERS,
    LOWEST_DEGREE,
    MINOR_MODES,
    NATURAL,
    TOKEN,
    UNIT_TICKS,
    alterations_of,
    degree_sign,
)
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
METRES = {"C": (4, 4), "C|": (4, 4)}
UNITS = {Fraction(ticks, UNIT_TICKS) for ticks in (UNIT_TICKS, *LENGTHS.values())}
"""Lengths of notes in eighths."""
SEMIQUAVERS = 4
"""A 2/4 tune with one note in so many shorter than an eighth is read as 4/4, twice as long."""
MAX_STRETCH = 3
"""Eighths by which a section's last note may be made longer or shorter."""


def tunes(text: str) -> list[str]:
    """The tunes of a collection, each from its line ``X:`` on."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return [part for part in re.split(r"(?m)^(?=X:)", text) if part.startswith("X:")]


def read(path: Path) -> AbcScore:
    """The first tune of a file.

    Raises:
        UsageError: there is none; the sentence says why.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as why:
        raise UsageError(f"{path}: cannot read it: {why.strerror}") from why
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: more than a megabyte is no tune")
    found = tunes(content.decode("utf-8", "replace"))
    if not found:
        raise UsageError(f"{path}: no tune in ABC is in it (one begins with a line X:1)")
    try:
        return parse(found[0], path.stem)
    except ValueError as why:
        raise UsageError(f"{path}: {why}") from why


def parse(text: str, name: str = "") -> AbcScore:
    """One tune.

    Raises:
        ValueError: it is none that can be told in the signs of :mod:`appliance.music.codecs.abc.abc_codec`.
    """
    fields, body = _split(text)
    tonic, mode, letter = _key(fields.get("K", ""))
    unit, bar_units, beat_steps = _metre(fields)
    bars = bars_of(body)
    for note in (n for bar in bars for n in bar.notes):
        note.length *= unit * 8
    if beat_steps == 4 and bar_units == 4 and _is_fine(bars):
        bar_units = Fraction(8)
        for note in (n for bar in bars for n in bar.notes):
            note.length *= 2
    form_bar = int(bar_units * 2)
    sections = sections_of(bars)
    first = sections[0].bars[0].units()
    pickup = first if first < bar_units else Fraction(0)
    if (pickup * 2).denominator != 1:
        raise ValueError("its upbeat is not on the 16th grid")
    _mend(sections, bar_units, pickup)
    signs = (mode, *_signs(sections, mode, letter, tonic))
    form = Form(form_bar, int(pickup * 2), 1, (), beat_steps)
    key = Key(tonic, mode in MINOR_MODES)
    tune = Tune(form._replace(steps=MAX_STEPS), key)
    for sign in (*signs, END):
        while tune.place == Place.AGAIN:
            tune.accept(TOKEN[AGAIN])
        if TOKEN[sign] not in tune.allowed():
            raise ValueError(
                "it breaks off, or is shorter than eight bars"
                if sign == END
                else f"{sign!r} does not go on after {''.join(tune.signs[1:])[-20:]!r}"
            )
        tune.accept(TOKEN[sign])
    return AbcScore(name, signs, key, form._replace(steps=tune.now // TICKS_PER_STEP))


def _split(text: str) -> tuple[dict[str, str], str]:
    fields: dict[str, str] = {}
    lines: list[str] = []
    in_body = False
    for line in text.split("\n"):
        line = re.sub(r"%.*", "", line).strip()
        field = re.match(r"([A-Za-z+]):(.*)", line)
        if field and not line.startswith("|"):
            what, value = field[1], field[2].strip()
            if in_body and what in "VKML":
                raise ValueError(f"{what}: changes within the tune")
            fields.setdefault(what, value) if what != "K" or not in_body else None
            in_body = in_body or what == "K"
        elif in_body and not line:
            if lines:
                break
        elif in_body:
            lines.append(line.removesuffix("\\"))
    if not lines:
        raise ValueError("it has no notes (they follow the line K:)")
    body = " ".join(lines)
    body = re.sub(r'"[^"]*"|\{[^}]*\}|![^! ]*!|\+[a-zA-Z.]+\+', "", body)
    body = re.sub(r"\[([^\]|:]*[A-Ga-g][^\]|:]*)\]", top_of, body)
    if re.search(r"\[[A-Za-z]:", body):
        raise ValueError("something changes within a line ([K:...])")
    body = re.sub("x(?=[^a-z])", "z", body)
    return fields, re.sub(r"[!~.HLMOPSTuvyJRk`*\\]|\((?!\d)|\)", "", body)


def _key(value: str) -> tuple[int, str, int]:
    """Tonic's pitch class, mode, and the tonic's letter, C = 0."""
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


def _metre(fields: dict[str, str]) -> tuple[Fraction, Fraction, int]:
    """L:, a bar in eighths, a beat in 16ths."""
    value = fields.get("M", "4/4")
    if value in METRES:
        over, under = METRES[value]
    elif found := re.fullmatch(r"(\d+)/([248])", value):
        over, under = int(found[1]), int(found[2])
    else:
        raise ValueError(f"M:{value} is no metre that Bachbox knows (such as 4/4, C|, 6/8)")
    length = fields.get("L") or ("1/16" if Fraction(over, under) < Fraction(3, 4) else "1/8")
    if not re.fullmatch(r"1/(1|2|4|8|16|32)", length):
        raise ValueError(f"L:{length} is no length of a note (such as 1/8)")
    beat = 6 if under == 8 and over % 3 == 0 else 16 // under
    bar = Fraction(8 * over, under)
    if not 4 <= bar <= 12 or (bar * 2) % beat:
        raise ValueError(f"M:{value}: bars as short or as long as that are not played")
    return Fraction(length), bar, beat


def _is_fine(bars: list[Bar]) -> bool:
    notes = [note for bar in bars for note in bar.notes]
    return SEMIQUAVERS * sum(note.length < 1 for note in notes) >= len(notes)


def _mend(sections: list[Section], whole: Fraction, pickup: Fraction) -> None:
    """Let every bar be full, and the last of a section leave room for the next upbeat.

    Printed books often write a last bar in full where an upbeat follows; its last note is made
    shorter then, or longer where it is the other way round.
    """
    starts = []
    for section in sections:
        upbeat = section.bars[0].units() if section.bars[0].units() < whole else Fraction(0)
        if upbeat not in (0, pickup):
            raise ValueError("its sections have different upbeats")
        starts.append(upbeat)
    for n, section in enumerate(sections):
        after = starts[n + 1] if n + 1 < len(sections) else starts[n]
        for end in section.ends():
            last = section.second[-1:] == [end] or not section.repeated
            upbeat = after if last else starts[n]
            if not last and not section.second and upbeat != after:
                raise ValueError("an upbeat that its repeat does not have")
            _stretch(end, whole - upbeat - end.units())
        for bar in section.bars[1 if starts[n] else 0 :] + section.first + section.second:
            if bar.units() != whole and not any(bar is end for end in section.ends()):
                raise ValueError(f"a bar has {bar.units()} eighths instead of {whole}")


def _stretch(bar: Bar, by: Fraction) -> None:
    while by:
        if not bar.notes or bar.notes[-1].group or abs(by) > MAX_STRETCH:
            raise ValueError("a section's last bar is too long or too short")
        note = bar.notes[-1]
        length = max(Fraction(0), note.length + by) if note.rest else note.length + by
        if length not in (0, *UNITS) or (length == 0 and not note.rest):
            raise ValueError("a section's last bar is too long or too short")
        by -= length - note.length
        note.length = length
        if not length:
            bar.notes.pop()


def _signs(sections: list[Section], mode: str, letter: int, tonic: int) -> list[str]:
    """The tune in signs on C."""
    found: list[str] = []
    before, in_key = "", alterations_of(letter, tonic, mode)
    for section in sections:
        line = {
            ("", True): "|:",
            ("", False): "",
            (":|", True): "::",
            (":|", False): ":|",
            ("||", True): "|:",
            ("||", False): "||",
        }[before, section.repeated]
        found += [line] if line else []
        for opening, part in (("", section.bars), ("|1", section.first), (":|2", section.second)):
            found += [opening] if opening and part else []
            for n, bar in enumerate(part):
                found += ["|"] if n else []
                found += _bar_signs(bar, letter, in_key)
        before = ":|" if section.repeated and not section.second else "||"
    return [*found, ":|"] if before == ":|" else found


def _bar_signs(bar: Bar, letter: int, in_key: Sequence[int]) -> list[str]:
    found: list[str] = []
    written: dict[int, int] = {}
    """What accidentals in this bar have made of a letter, in semitones from natural."""
    told: dict[int, int] = {}
    """The same as the signs have it, from what the key has."""
    for note in bar.notes:
        found += ["(3"] if note.group == "(3" else []
        length = note.length
        if length not in UNITS:
            raise ValueError(f"a note of {length} eighths")
        if note.group and length * UNIT_TICKS not in GROUPED:
            raise ValueError(f"a pair or triplet of notes of {length} eighths")
        if note.rest:
            found.append("z")
        else:
            degree = note.step - letter
            if not LOWEST_DEGREE <= degree <= HIGHEST_DEGREE:
                raise ValueError("it goes too high or too low")
            step = note.step % 7
            if note.alter is not None:
                written[step] = note.alter
            by = written.get(step, in_key[step]) - in_key[step]
            if abs(by) > 1:
                raise ValueError("a note is two semitones from where the key has it")
            if by != told.get(degree % 7, 0):
                found.append({1: "^", -1: "_", 0: "="}[by])
                told[degree % 7] = by
            found.append(degree_sign(degree))
        found += [sign for sign, n in LENGTHS.items() if n == length * UNIT_TICKS]
        found += [note.group] if note.group in (">", "<") else []
    return found
