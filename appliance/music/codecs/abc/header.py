"""Key, meter and length of a note in the header of a tune in ABC.

Source: the ABC standard 2.1 (abcnotation.com/wiki/abc:standard:v2.1), sections 3.1 and 4.6.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final, NamedTuple

from appliance.common.text import shortened
from appliance.music.codecs.abc.tokens import LETTERS, NATURAL, SCALES, alterations_of

MODES: Final = {
    "": "major",
    "ma": "major",
    "maj": "major",
    "ion": "major",
    "m": "minor",
    "mi": "minor",
    "min": "minor",
    "aeo": "minor",
    "dor": "dorian",
    "mix": "mixolydian",
    "lyd": "lydian",
    "phr": "phrygian",
    "loc": "locrian",
}
"""By the first three letters of their names in the field ``K:``."""
OTHER_SCALES: Final = {
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
"""Modes without a symbol; they are written in the nearest mode that has one."""
NAMED_METERS: Final = {"C": (4, 4), "C|": (4, 4)}
"""``C|`` has the bars of 2/2, and is counted in quarters like the common meter."""
FREE_METERS: Final = ("none", "free", "")
MAX_FIELD_CHARACTERS: Final = 200
_FRACTION: Final = re.compile(r"\(?(\d{1,2}(?:\+\d{1,2}){0,9})\)?/(1|2|4|8|16|32)")
_ACCIDENTALS: Final = {"^": 1, "_": -1, "=": 0, "^^": 2, "__": -2}
_CLEF: Final = re.compile(
    r"(?i)(?:clef|middle|m|octave|stafflines|staffscale|score|cue|name|nm|snm|sname|style|stems?"
    r"|transpose|t|shift|sound|instrument)=.*"
    r"|(?:treble|bass|alto|tenor|soprano|mezzosoprano|baritone|perc|none)\d?(?:[+^_-](?:8|15))?"
)
_SHIFT: Final = re.compile(
    r"(?i)(?<![^\s=])(?:(?:octave|transpose|t|shift|sound|score)=(?![+-]?0(?!\S))\S+"
    r"|(?:clef=)?(?:treble|bass|alto|tenor|soprano|mezzosoprano|baritone)\d?[+^_-](?:8|15))(?!\S)"
)
_TONIC: Final = re.compile(r"([A-Ga-g])([#b]?)([A-Za-z]*)")
_KEY_AND_ACCIDENTALS: Final = re.compile(r"([A-Ga-g][#b]?[A-Za-z]{0,10})((?:[_^=]{1,2}[A-Ga-g])+)")
"""As in K:Dmix=c, without a space."""


class KeySignature(NamedTuple):
    """What the field ``K:`` says."""

    tonic: int
    """Pitch class."""
    mode: str
    """One of ``tokens.SCALES``: the mode itself, or the one whose signature is nearest."""
    letter: int
    """Of the tonic, C = 0."""
    alterations: tuple[int, ...]
    """By how many semitones the signature raises each letter, C to B."""
    notice: str = ""
    """How the field was interpreted, if that is not plain."""


class Meter(NamedTuple):
    """What the fields ``M:`` and ``L:`` say."""

    unit: Fraction
    """The length of a note that states none, as a part of a whole note."""
    bar_eighths: Fraction
    beat_steps: int
    """Length of a beat, in 16ths."""
    notice: str = ""
    """How the field was interpreted, if that is not plain."""


def parse_key(value: str) -> KeySignature:
    """Parse the field ``K:``; clefs and other layout are passed over.

    Raises:
        ValueError: it is not a key.
    """
    if len(value) > MAX_FIELD_CHARACTERS:
        raise _not_a_key(value)
    plain = re.sub(r'[a-z]+="[^"]*"', "", value.replace("♯", "#").replace("♭", "b"))
    words = [word for word in plain.split() if not _CLEF.fullmatch(word)]
    if words and (found := _KEY_AND_ACCIDENTALS.fullmatch(words[0])):
        words[:1] = found.groups()
    accidentals = "".join(word for word in words if word[0] in "^_=")
    tonic, explicit, mode = _tonic_and_mode([word for word in words if word[0] not in "^_="], value)
    letter, pitch_class = tonic
    if mode in SCALES:
        alterations = list(alterations_of(letter, pitch_class, mode))
    else:
        scale = OTHER_SCALES[mode]
        alterations = [
            (pitch_class + scale[(step - letter) % 7] - NATURAL[step] + 6) % 12 - 6
            for step in range(7)
        ]
    if explicit:
        alterations = [0] * 7
    changes = re.findall(r"(\^\^?|__?|=)([A-Ga-g])", accidentals)
    if "".join(map("".join, changes)) != accidentals:
        raise _not_a_key(value)
    for accidental, changed in changes:
        alterations[LETTERS.index(changed.upper())] = _ACCIDENTALS[accidental]
    nearest = mode
    if explicit or changes or mode not in SCALES:
        nearest = _nearest_mode(letter, pitch_class, alterations, mode)
    notice = ""
    if len(words) == 1 and re.fullmatch("[a-g][#b]?", words[0]):
        notice = f"the key K:{shortened(value)} was read as {words[0].capitalize()} minor"
    return KeySignature(pitch_class, nearest, letter, tuple(alterations), notice)


def shift_in(value: str) -> str:
    """What a field ``K:`` or ``V:`` says about sounding at another pitch; "" if nothing."""
    found = _SHIFT.search(value[:MAX_FIELD_CHARACTERS])
    return found[0] if found else ""


def _tonic_and_mode(words: list[str], value: str) -> tuple[tuple[int, int], bool, str]:
    """Letter and pitch class of the tonic; whether only listed accidentals count; the mode."""
    explicit = "exp" in (word.lower() for word in words)
    words = [word for word in words if word.lower() != "exp"]
    if not words:
        return (0, 0), explicit, "major"
    if words[0] in ("HP", "Hp"):  # Bagpipes: in A, with F sharp and C sharp.
        return (5, 9), explicit, "mixolydian"
    found = _TONIC.fullmatch("".join(words))
    if not found or len(words) > 2:
        raise _not_a_key(value)
    name = found[3]
    if name.lower().endswith("exp"):
        name, explicit = name[:-3], True
    mode = "major" if name == "M" else MODES.get(name.lower()[:3])
    if mode is None:
        raise _not_a_key(value)
    if not name and found[1].islower():  # In old books, a small letter is a minor key.
        mode = "minor"
    letter = LETTERS.index(found[1].upper())
    sharp = {"#": 1, "b": -1, "": 0}[found[2]]
    return (letter, (NATURAL[letter] + sharp) % 12), explicit, mode


def _nearest_mode(letter: int, tonic: int, alterations: list[int], mode: str) -> str:
    """The mode with a symbol whose signature differs least; ``mode`` itself of several."""

    def distance(candidate: str) -> tuple[int, bool]:
        theirs = alterations_of(letter, tonic, candidate)
        differences = sum(abs(a - b) for a, b in zip(alterations, theirs, strict=True))
        return differences, candidate != mode

    return min(SCALES, key=distance)


def _not_a_key(value: str) -> ValueError:
    return ValueError(
        f"K:{shortened(value)} is not a key that Bachbox knows; allowed: A to G, # or b, and "
        "nothing, m, or a mode such as dor; then clef and accidentals, if any"
    )


def parse_any_meter(value: str) -> tuple[int, int, str]:
    """Numerator and denominator of a field ``M:``, and how it was interpreted if that is not plain.

    Raises:
        ValueError: it is not a meter.
    """
    plain = re.sub(r"\s", "", value)
    if plain.lower() in FREE_METERS:
        return 4, 4, f"M:{shortened(value)} states no meter; it was read as 4/4"
    if plain in NAMED_METERS:
        return *NAMED_METERS[plain], ""
    if found := _FRACTION.fullmatch(plain):
        over = sum(map(int, found[1].split("+")))
        if over:
            return over, int(found[2]), ""
    raise ValueError(
        f"M:{shortened(value)} is not a meter that Bachbox knows (such as 4/4, C|, 6/8)"
    )


def parse_meter(fields: Mapping[str, str]) -> Meter:
    """Parse the fields ``M:`` and ``L:``.

    Raises:
        ValueError: one of them is not known, or tunes in this meter are not played.
    """
    value = fields.get("M", "4/4")
    over, under, notice = parse_any_meter(value)
    beat = 6 if under == 8 and over % 3 == 0 and "+" not in value else 16 // under
    bar = Fraction(8 * over, under)
    if not 4 <= bar <= 12 or not beat or (bar * 2) % beat:
        raise ValueError(
            f"M:{shortened(value)}: bars as short or as long as that are not played; allowed: from "
            "2/4 to 3/2"
        )
    return Meter(unit_of(fields, over, under), bar, beat, notice)


def unit_of(fields: Mapping[str, str], over: int, under: int) -> Fraction:
    """The length of a note that states none: the field ``L:``, or what the standard says.

    Raises:
        ValueError: the field is not a length.
    """
    default = "1/16" if Fraction(over, under) < Fraction(3, 4) else "1/8"
    return parse_unit(fields.get("L") or default)


def parse_unit(value: str) -> Fraction:
    """Parse the field ``L:``, the length of a note that states none.

    Raises:
        ValueError: it is not a length.
    """
    plain = re.sub(r"\s", "", value)
    if plain == "1":
        return Fraction(1)
    if not re.fullmatch(r"1/(1|2|4|8|16|32)", plain):
        raise ValueError(f"L:{shortened(value)} is not a note length (such as 1/8)")
    return Fraction(plain)
