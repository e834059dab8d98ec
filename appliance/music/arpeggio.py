"""Broken chords: where a player strikes the notes of a chord one after another, from the bass up.

A harpsichordist spreads every chord of more than two or three notes: the lowest note takes the
beat, and the others follow so closely that they are still heard as one chord (R. Donington, "The
Interpretation of Early Music", 1963, on the harpsichord). A lutenist, a guitarist and a harpist do
the same. A bow reaches two strings at a time: the lower two notes take the beat, and the bow goes
on to the upper ones (S. Ritchie, "Before the Chinrest", 2012, chapter 3).

The KTH rules have nothing about this. The times are between two limits: of two sounds one hears
which came first if 20 ms lie between them (I. Hirsh, "Auditory perception of temporal order", JASA
31 (1959), 759-767), and chords whose notes are 25 to 50 ms apart are still heard as single events
(M. Hove, P. Keller, C. Krumhansl, Perception & Psychophysics 69 (2007), 699-708).
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Final

from appliance.music.events import TICKS_PER_BEAT
from appliance.music.expression import FULL_EXPRESSION
from appliance.music.playability import TUNINGS

MIN_NOTES: Final = 3
"""Two notes are struck together."""

# The times are for expression 100; at 60, the default, they are 24, 96 and 66 ms.

PLUCKED_MS: Final = 40.0
"""From one note of a plucked chord to the next."""
MAX_SPREAD_MS: Final = 160.0
"""From the lowest note of a chord to the highest; in a chord of more notes they are closer."""
BOWED_MS: Final = 110.0
"""From the lower two notes of a bowed chord to the others."""

ROOM_TICKS: Final = TICKS_PER_BEAT
"""How far ahead it matters what comes next."""
MAX_SHARE: Final = 0.25
"""The share of the time to the next onset or to the first end that the spread may take: on short
notes it is quicker. So no note ends before it is struck."""

_HARPSICHORD, _CLAVINET, _HARP, _CONTRABASS, _FIDDLE = 6, 7, 46, 43, 110
_GUITARS: Final = range(24, 32)
_SITAR_TO_KOTO: Final = range(104, 108)
PLUCKED: Final = frozenset({_HARPSICHORD, _CLAVINET, _HARP, *_GUITARS, *_SITAR_TO_KOTO})
"""General MIDI programs: harpsichord, clavinet, guitars (a lute has no number of its own), harp,
sitar, banjo, shamisen, koto."""
BOWED: Final = frozenset({*TUNINGS, _CONTRABASS, _FIDDLE})
"""General MIDI programs of single bowed instruments: violin, viola, cello, contrabass, fiddle."""


class Manner(enum.Enum):
    """How a player breaks chords."""

    PLUCKED = enum.auto()
    BOWED = enum.auto()


def manner_of(program: int, *, is_one_part: bool) -> Manner | None:
    """Return how the player of an instrument breaks chords; None if all notes sound together.

    Args:
        program: General MIDI program, 0 to 127.
        is_one_part: the music has a single part. The voices of any other music are bowed by a
            player each, who begin together.
    """
    if program in PLUCKED:
        return Manner.PLUCKED
    return Manner.BOWED if is_one_part and program in BOWED else None


def delays_ticks(
    chord: Collection[int],
    manner: Manner,
    *,
    expression: float,
    ticks_per_ms: float,
    room_ticks: int,
) -> dict[int, int]:
    """Return how long after its written onset each note of a chord is struck, in ticks.

    Args:
        chord: MIDI notes that are written at one tick.
        manner: how they are played.
        expression: 0 (together, as printed) to 100.
        ticks_per_ms: the present tempo.
        room_ticks: from the chord to the next onset, or to the first end of one of its notes if
            that is sooner. The last delay is at most :data:`MAX_SHARE` of it.
    """
    pitches = sorted({*chord})
    gaps = len(pitches) - 1
    if len(pitches) < MIN_NOTES:
        return dict.fromkeys(pitches, 0)
    plucked = manner is Manner.PLUCKED
    full_ms = min(MAX_SPREAD_MS, PLUCKED_MS * gaps) if plucked else BOWED_MS
    spread = full_ms * (expression / FULL_EXPRESSION) * ticks_per_ms
    last = min(spread, MAX_SHARE * room_ticks)
    places = [number / gaps if plucked else float(number > 1) for number in range(len(pitches))]
    return {pitch: int(place * last) for pitch, place in zip(pitches, places, strict=True)}
