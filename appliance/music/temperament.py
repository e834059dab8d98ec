"""How the twelve notes of the octave are tuned: five temperaments, at any concert pitch.

A temperament is a circle of fifths, each of them pure (3:2) or narrower by part of a comma. All
sizes are in cents, hundredths of an equal-tempered semitone.

Sources: A. Werckmeister, Musicalische Temperatur (1691); J. P. Kirnberger's letter to Forkel
(1779); F. Vallotti, Della scienza teorica e pratica della moderna musica (1779); P. Aaron,
Toscanello in musica (1523); all of them in J. M. Barbour, Tuning and Temperament (1951).
"""

from __future__ import annotations

import math
from typing import Final

EQUAL: Final = "equal"

CONCERT_PITCH_HZ: Final = 440.0
"""Frequency of A4 in a synthesizer that is not tuned otherwise."""

KEYS: Final = 128
"""Number of MIDI notes."""

_A: Final = 9
"""Pitch class of the concert pitch's note."""

_PURE_FIFTH: Final = 1200 * math.log2(3 / 2)
_PYTHAGOREAN: Final = 12 * _PURE_FIFTH - 7 * 1200
"""The Pythagorean comma: twelve pure fifths less seven octaves."""
_SYNTONIC: Final = 4 * _PURE_FIFTH - 2 * 1200 - 1200 * math.log2(5 / 4)
"""The syntonic comma: four pure fifths less two octaves and a pure third."""

_CIRCLE: Final = ("C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "Eb", "Bb", "F")
"""The circle of fifths: each note is a fifth above the one before."""

_NARROWER: Final[dict[str, dict[str, float]]] = {
    EQUAL: dict.fromkeys(_CIRCLE, _PYTHAGOREAN / 12),
    "werckmeister3": dict.fromkeys(("C", "G", "D", "B"), _PYTHAGOREAN / 4),
    "kirnberger3": dict.fromkeys(_CIRCLE[:4], _SYNTONIC / 4) | {"F#": _PYTHAGOREAN - _SYNTONIC},
    "vallotti": dict.fromkeys(("F", *_CIRCLE[:5]), _PYTHAGOREAN / 6),
    "meantone": dict.fromkeys(_CIRCLE, _SYNTONIC / 4) | {"G#": _PYTHAGOREAN - 11 * _SYNTONIC / 4},
}
"""The fifths that are not pure, by their lower note, and by how much they are narrower (the wolf
fifth of meantone is wider). In each temperament they sum to one Pythagorean comma, so that the
circle closes."""

NAMES: Final = tuple(_NARROWER)
"""The names of all temperaments."""


def octave_cents(name: str) -> tuple[float, ...]:
    """The twelve notes from C on, in cents above C.

    Raises:
        KeyError: there is no such temperament; :data:`NAMES` lists them all.
    """
    narrower = _NARROWER[name]
    cents = [0.0] * 12
    height = 0.0
    for fifths, note in enumerate(_CIRCLE[:-1], 1):
        height += _PURE_FIFTH - narrower.get(note, 0.0)
        cents[7 * fifths % 12] = height % 1200
    return tuple(cents)


def key_cents(name: str, a_hz: float) -> tuple[float, ...]:
    """All 128 keys of MIDI, in cents above key 0 of equal temperament at 440 Hz.

    A4 (key 69) has the frequency ``a_hz`` in every temperament.

    Raises:
        KeyError: there is no such temperament.
    """
    octave = octave_cents(name)
    height = 1200 * math.log2(a_hz / CONCERT_PITCH_HZ) + 100 * _A - octave[_A]
    return tuple(1200 * (key // 12) + octave[key % 12] + height for key in range(KEYS))
