"""Which notes one player can sound together: what hands can take on each instrument."""

from __future__ import annotations

import functools
from collections.abc import Iterable

MAX_KEYBOARD_SPAN = 16
"""Semitones from a hand's lowest note to its highest: a tenth."""
FINGERS = 5
TUNINGS = {
    40: ((55, 62, 69, 76), 7),
    41: ((48, 55, 62, 69), 6),
    42: ((36, 43, 50, 57), 5),
}
"""MIDI notes of the open strings, and the reach of the left hand in semitones, of the instruments
of the violin family by their General MIDI programs: violin, viola, cello."""
HIGHEST_FRET = 26
"""How far above an open string its highest note lies, in semitones."""
KEYBOARDS = range(24)
"""General MIDI programs: pianos, harpsichord, celesta and bells, organs."""
WINDS = range(56, 80)
"""General MIDI programs that play one note at a time: brass, reeds, flutes."""


def is_playable(pitches: Iterable[int], program: int | None) -> bool:
    """Whether one player can sound these MIDI notes together.

    Two hands on a keyboard take five keys within a tenth each. On a violin, a viola or a cello the
    notes must lie on neighbouring strings, and those that are not open within the hand's reach.

    Args:
        pitches: MIDI notes.
        program: General MIDI program of the instrument. There is no limit for ``None``, and for
            instruments of which nothing is known here.
    """
    chord = sorted({*pitches})
    if len(chord) < 2 or program is None:
        return True
    if program in KEYBOARDS:
        return any(_in_one_hand(chord[:n]) and _in_one_hand(chord[n:]) for n in range(len(chord)))
    if program in WINDS:
        return False
    if program not in TUNINGS:
        return True
    tuning, reach = TUNINGS[program]
    return any(
        _on_strings(chord, tuning[lowest : lowest + len(chord)], reach)
        for lowest in range(len(tuning) - len(chord) + 1)
    )


@functools.lru_cache(maxsize=4096)
def unplayable_pitches(sounding: frozenset[int], program: int | None) -> frozenset[int]:
    """The MIDI notes that cannot be added to those that sound; see :func:`is_playable`."""
    if not sounding or program is None:
        return frozenset()
    return frozenset(p for p in range(128) if not is_playable({p, *sounding}, program))


def _in_one_hand(chord: list[int]) -> bool:
    return not chord or (len(chord) <= FINGERS and chord[-1] - chord[0] <= MAX_KEYBOARD_SPAN)


def _on_strings(chord: list[int], strings: tuple[int, ...], reach: int) -> bool:
    above = [pitch - string for pitch, string in zip(chord, strings, strict=True)]
    stopped = [fret for fret in above if fret]
    in_reach = not stopped or max(stopped) - min(stopped) <= reach
    return in_reach and all(0 <= fret <= HIGHEST_FRET for fret in above)
