"""Tunes in ABC notation: read into signs on C (see ``abc``), and written out again.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1). What is not a tune's
notes is left out: chord symbols, ornaments, grace notes, slurs, words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from appliance.errors import UsageError
from appliance.music.abc import (
    ACCIDENTALS,
    GROUPED,
    HIGHEST_DEGREE,
    LENGTHS,
    LETTERS,
    LOWEST_DEGREE,
    MINOR_MODES,
    SCALES,
    UNIT_TICKS,
    AbcCodec,
    AbcScore,
    degree_sign,
)
from appliance.music.notes import TICKS_PER_STEP
from appliance.music.score import Form, Key

LARGEST_BYTES = 1 << 20
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
NATURAL = (0, 2, 4, 5, 7, 9, 11)
SEMIQUAVERS = 4
"""A 2/4 tune with one note in so many shorter than an eighth is read as 4/4, twice as long."""
LONGEST_STRETCH = 3
"""Eighths by which a section's last note may be made longer or shorter."""
SIGNS = re.compile(
    r"(?P<bar>::|:\|+:?|\|+:|\|+\]|\[\||\|+|:)\s*\[?(?P<ending>[12](?![\d,.-]))?"
    r"|\[(?P<inner>[12])(?![\d,.-])"
    r"|\((?P<tuplet>\d)(?P<odd>:[\d:]*)?"
    r"|(?P<accidental>\^\^?|__?|=)?(?P<note>[A-Ga-gz])(?P<octave>[,']*)"
    r"(?P<over>\d+)?(?P<under>/+\d*)?"
    r"|(?P<broken>>+|<+)|(?P<tie>-)|(?P<other>\S)"
)


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
            content = file.read(LARGEST_BYTES + 1)
    except OSError as why:
        raise UsageError(f"{path}: cannot read it: {why.strerror}") from why
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"{path}: more than a megabyte is no tune")
    found = tunes(content.decode("utf-8", "replace"))
    if not found:
        raise UsageError(f"{path}: no tune in ABC is in it (one begins with a line X:1)")
    try:
        return parse(found[0], path.stem)
    except ValueError as why:
        raise UsageError(f"{path}: {why}") from why


@dataclass
class _Note:
    step: int
    """Counted from middle C in white keys; meaningless for a rest."""
    alter: int | None
    """As written."""
    length: Fraction
    rest: bool = False
    group: str = ""
    """``(3`` at a triplet's first note, ``3`` at the others, ``>`` or ``<`` and ``2`` in pairs."""


@dataclass
class _Bar:
    notes: list[_Note]
    line: str
    """What stands at its end."""

    def units(self) -> Fraction:
        """How long it is."""
        total = Fraction(0)
        for note in self.notes:
            total += note.length * (Fraction(2, 3) if "3" in note.group else 1)
        return total


def parse(text: str, name: str = "") -> AbcScore:
    """One tune.

    Raises:
        ValueError: it is none that can be told in the signs of :mod:`appliance.music.abc`.
    """
    fields, body = _split(text)
    tonic, mode, letter = _key(fields.get("K", ""))
    unit, bar_units, beat_steps = _metre(fields)
    bars = _bars(body)
    for note in (n for bar in bars for n in bar.notes):
        note.length *= unit * 8
    if beat_steps == 4 and bar_units == 4 and _is_fine(bars):
        bar_units = Fraction(8)
        for note in (n for bar in bars for n in bar.notes):
            note.length *= 2
    form_bar = int(bar_units * 2)
    sections = _sections(bars)
    first = sections[0].bars[0].units()
    pickup = first if first < bar_units else Fraction(0)
    if (pickup * 2).denominator != 1:
        raise ValueError("its upbeat is not on the 16th grid")
    _mend(sections, bar_units, pickup)
    signs = (mode, *_signs(sections, mode, letter, tonic))
    form = Form(form_bar, int(pickup * 2), 1, (), beat_steps)
    key = Key(tonic, mode in MINOR_MODES)
    context = AbcCodec().start(form._replace(steps=9999), key)
    from appliance.music.abc import AGAIN, END, TOKEN, Place

    for sign in signs:
        while context.place == Place.AGAIN:
            context.accept(TOKEN[AGAIN])
        if TOKEN[sign] not in context.allowed():
            raise ValueError(f"{sign!r} does not go on after {''.join(context.signs[1:])[-20:]!r}")
        context.accept(TOKEN[sign])
    while context.place == Place.AGAIN:
        context.accept(TOKEN[AGAIN])
    if TOKEN[END] not in context.allowed():
        raise ValueError("it breaks off, or is shorter than eight bars")
    context.accept(TOKEN[END])
    return AbcScore(name, signs, key, form._replace(steps=context.now // TICKS_PER_STEP))


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
    body = re.sub(r"\[([^\]|:]*[A-Ga-g][^\]|:]*)\]", _top, body)
    if re.search(r"\[[A-Za-z]:", body):
        raise ValueError("something changes within a line ([K:...])")
    body = re.sub("x(?=[^a-z])", "z", body)
    return fields, re.sub(r"[!~.HLMOPSTuvyJRk`*\\]|\((?!\d)|\)", "", body)


def _top(chord: re.Match[str]) -> str:
    """The highest note of a chord."""
    notes = re.findall(r"(?:\^\^?|__?|=)?([A-Ga-g])([,']*)[\d/]*", chord[1])
    whole = [m[0] for m in re.finditer(r"(?:\^\^?|__?|=)?[A-Ga-g][,']*[\d/]*", chord[1])]
    if not whole:
        return ""
    return whole[max(range(len(whole)), key=lambda n: _step(*notes[n]))]


def _step(letter: str, octave: str) -> int:
    return (
        LETTERS.index(letter.upper())
        + 7 * letter.islower()
        + 7 * (octave.count("'") - octave.count(","))
    )


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


def _is_fine(bars: list[_Bar]) -> bool:
    notes = [note for bar in bars for note in bar.notes]
    return SEMIQUAVERS * sum(note.length < 1 for note in notes) >= len(notes)


def _bars(body: str) -> list[_Bar]:
    """The text in bars, each with the line that ends it."""
    bars, notes, broken = [], list[_Note](), ""
    triplet, tie = 0, False
    start = True
    for found in SIGNS.finditer(body):
        kind = found.groupdict()
        if found["bar"]:
            if broken or triplet:
                raise ValueError("a pair or triplet is cut by a bar line")
            line = _line(found["bar"], found["ending"])
            if notes:
                bars.append(_Bar(notes, line))
                notes = []
            elif bars:
                bars[-1].line = _both(bars[-1].line, line)
            elif start:
                bars.append(_Bar([], line))
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
            note = _Note(
                _step(found["note"], found["octave"]) if found["note"] != "z" else 0,
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
        bars.append(_Bar(notes, "|"))
    return bars


def _tied(first: _Note, second: _Note) -> bool:
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
class _Section:
    """Bars that are played once or twice, and what they end with each time."""

    bars: list[_Bar]
    first: list[_Bar]
    second: list[_Bar]
    repeated: bool = False

    def ends(self) -> list[_Bar]:
        """The last bar of each way through."""
        return [part[-1] for part in (self.first, self.second) if part] or self.bars[-1:]


def _sections(bars: list[_Bar]) -> list[_Section]:
    found: list[_Section] = []
    section, opened = _Section([], [], []), False
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
        elif section.first or section.second or found and bar.line in (":|", "::"):
            raise ValueError("it repeats nothing")
        section, opened = _Section([], [], []), bar.line in ("|:", "::")
        part = section.bars
    if part is section.first and part:
        raise ValueError("a first ending without a second")
    if section.bars:
        found.append(section)
    if not found:
        raise ValueError("it has no notes")
    return found


def _mend(sections: list[_Section], whole: Fraction, pickup: Fraction) -> None:
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


def _stretch(bar: _Bar, by: Fraction) -> None:
    while by:
        if not bar.notes or bar.notes[-1].group or abs(by) > LONGEST_STRETCH:
            raise ValueError("a section's last bar is too long or too short")
        note = bar.notes[-1]
        length = max(Fraction(0), note.length + by) if note.rest else note.length + by
        if length not in (0, *UNITS) or (length == 0 and not note.rest):
            raise ValueError("a section's last bar is too long or too short")
        by -= length - note.length
        note.length = length
        if not length:
            bar.notes.pop()


def _signs(sections: list[_Section], mode: str, letter: int, tonic: int) -> list[str]:
    """The tune in signs on C."""
    found: list[str] = []
    before = ""
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
                found += _bar_signs(bar, mode, letter, tonic)
        before = ":|" if section.repeated and not section.second else "||"
    return [*found, ":|"] if before == ":|" else found


def _bar_signs(bar: _Bar, mode: str, letter: int, tonic: int) -> list[str]:
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
            in_key = in_key_alteration(step, mode, letter, tonic)
            if note.alter is not None:
                written[step] = note.alter
            by = written.get(step, in_key) - in_key
            if abs(by) > 1:
                raise ValueError("a note is two semitones from where the key has it")
            if by != told.get(degree % 7, 0):
                found.append({1: "^", -1: "_", 0: "="}[by])
                told[degree % 7] = by
            found.append(degree_sign(degree))
        found += [sign for sign, n in LENGTHS.items() if n == length * UNIT_TICKS]
        found += [note.group] if note.group in (">", "<") else []
    return found


def in_key_alteration(step: int, mode: str, letter: int, tonic: int) -> int:
    """By how many semitones the key raises (or lowers) a white key's letter."""
    wanted = tonic + SCALES[mode][(step - letter) % 7]
    return (wanted - NATURAL[step] + 6) % 12 - 6
