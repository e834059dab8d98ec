"""The signs that tunes in ABC are written in, and what each says by itself.

A tune is written on C, its mode said first: a sign for a pitch is a step of the scale.
"""

from __future__ import annotations

from typing import Final

from appliance.music.events import TICKS_PER_BEAT

UNIT_TICKS = TICKS_PER_BEAT // 2
"""The length of a note that says none: an eighth, L:1/8."""
LOWEST_DEGREE, HIGHEST_DEGREE = -8, 16
"""Steps of the scale, counted from the tonic."""
SCALES: Final = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
}
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the white keys over C."""
MINOR_MODES = ("minor", "dorian")
ACCIDENTALS: Final = {"^": 1, "_": -1, "=": 0}
"""A step of the scale raised, lowered, or again as the key has it."""
LENGTHS: Final = {
    sign: UNIT_TICKS * quarters // 4
    for sign, quarters in (
        *(("/4", 1), ("/", 2), ("3/4", 3), ("3/2", 6), ("2", 8), ("3", 12), ("4", 16)),
        *(("5", 20), ("6", 24), ("7", 28), ("8", 32), ("9", 36), ("12", 48)),
    )
}
"""In ticks."""
GROUPED = (UNIT_TICKS // 4, UNIT_TICKS // 2, UNIT_TICKS, 2 * UNIT_TICKS)
"""Lengths that pairs and triplets are made of."""
MIN_TICKS = UNIT_TICKS // 4
BARS = ("|", "||", "|:", ":|", "::", "|1", ":|2")
AGAIN, END = "again", "end"
LETTERS = "CDEFGAB"


def degree_sign(degree: int) -> str:
    """A step of the scale as ABC writes it on C: C, is the octave below C."""
    octave, letter = divmod(degree, 7)
    if octave >= 1:
        return LETTERS[letter].lower() + "'" * (octave - 1)
    return LETTERS[letter] + "," * -octave


def alterations_of(letter: int, tonic: int, mode: str) -> tuple[int, ...]:
    """By how many semitones a key, its tonic at this letter, raises each letter from C to B."""
    return tuple(
        (tonic + SCALES[mode][(step - letter) % 7] - NATURAL[step] + 6) % 12 - 6
        for step in range(7)
    )


PITCHES: Final = {degree_sign(n): n for n in range(LOWEST_DEGREE, HIGHEST_DEGREE + 1)}
VOCABULARY: Final = [
    *SCALES,
    *PITCHES,
    "z",
    *ACCIDENTALS,
    *LENGTHS,
    ">",
    "<",
    "(3",
    *BARS,
    AGAIN,
    END,
]
TOKEN: Final = {sign: token for token, sign in enumerate(VOCABULARY)}
CLASSES = len(VOCABULARY)
