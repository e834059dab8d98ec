"""The symbols that tunes in ABC are written in, and what each means by itself.

A tune is written in C after a symbol for its mode, so a symbol for a pitch is a scale degree.
"""

from __future__ import annotations

from typing import Final

from appliance.music.events import TICKS_PER_BEAT

UNIT_TICKS = TICKS_PER_BEAT // 2
"""The length of a note without a length symbol: an eighth, L:1/8."""
LOWEST_DEGREE, HIGHEST_DEGREE = -8, 16
"""Range of the scale degrees, 0 the tonic, 7 the octave above it."""
SCALES: Final = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
}
"""Semitones of the degrees above the tonic, by mode."""
NATURAL = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the white keys above C."""
MINOR_MODES = ("minor", "dorian")
ACCIDENTALS: Final = {"^": 1, "_": -1, "=": 0}
"""A scale degree raised, lowered, or restored to what the key signature has."""
LENGTHS: Final = {
    symbol: UNIT_TICKS * quarters // 4
    for symbol, quarters in (
        *(("/4", 1), ("/", 2), ("3/4", 3), ("3/2", 6), ("2", 8), ("3", 12), ("4", 16)),
        *(("5", 20), ("6", 24), ("7", 28), ("8", 32), ("9", 36), ("12", 48)),
    )
}
"""In ticks, by symbol."""
GROUPED = (UNIT_TICKS // 4, UNIT_TICKS // 2, UNIT_TICKS, 2 * UNIT_TICKS)
"""Lengths in ticks of the notes of broken rhythms and triplets."""
MIN_TICKS = UNIT_TICKS // 4
BAR_LINES = ("|", "||", "|:", ":|", "::", "|1", ":|2")
REPLAY, END = "again", "end"
"""Tokens that are not ABC: play the next bar of a repeat, and end the tune."""
LETTERS = "CDEFGAB"


def degree_symbol(degree: int) -> str:
    """A scale degree as ABC writes it in C: ``C`` is 0, ``C,`` the octave below, ``c`` above."""
    octave, letter = divmod(degree, 7)
    if octave >= 1:
        return LETTERS[letter].lower() + "'" * (octave - 1)
    return LETTERS[letter] + "," * -octave


def alterations_of(letter: int, tonic: int, mode: str) -> tuple[int, ...]:
    """By how many semitones a key raises each letter from C to B.

    Args:
        letter: of the tonic, C = 0.
        tonic: pitch class, which tells C from C sharp.
        mode: one of :data:`SCALES`.
    """
    return tuple(
        (tonic + SCALES[mode][(step - letter) % 7] - NATURAL[step] + 6) % 12 - 6
        for step in range(7)
    )


PITCHES: Final = {degree_symbol(n): n for n in range(LOWEST_DEGREE, HIGHEST_DEGREE + 1)}
VOCABULARY: Final = [
    *SCALES,
    *PITCHES,
    "z",
    *ACCIDENTALS,
    *LENGTHS,
    ">",
    "<",
    "(3",
    *BAR_LINES,
    REPLAY,
    END,
]
TOKEN: Final = {symbol: token for token, symbol in enumerate(VOCABULARY)}
"""The token of every symbol."""
CLASSES = len(VOCABULARY)
