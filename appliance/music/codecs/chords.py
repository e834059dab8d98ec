"""Chords by their kind and root, as far as harmony textbooks name them."""

from __future__ import annotations

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_NAMED: Final[tuple[tuple[frozenset[int], ...], ...]] = tuple(
    tuple(frozenset(chord) for chord in chords)
    for chords in (
        ((0, 4, 7), (0, 4), (0, 7)),  # major, or as much of it as tells
        ((0, 3, 7), (0, 3)),  # minor
        ((0, 3, 6),),  # diminished
        ((0, 4, 7, 10), (0, 4, 10)),  # dominant seventh
        ((0, 3, 7, 10), (0, 3, 10)),  # minor seventh
        ((0, 4, 7, 11), (0, 4, 11)),  # major seventh
        ((0, 3, 6, 10), (0, 3, 6, 9)),  # half-diminished and diminished sevenths
        ((0, 2, 7), (0, 5, 7)),  # suspensions
        ((0,),),  # a single note
    )
)
"""Semitones over the root."""
KINDS: Final = len(_NAMED) + 1
"""Kinds of chords; 0 is any that has no name."""
UNNAMED: Final = -1
"""The root of a chord without a name."""

_KIND: Final = {chord: number for number, chords in enumerate(_NAMED, 1) for chord in chords}


class Chords(NamedTuple):
    """Twelve chords: what some pitch classes are with one more, which is the index."""

    kinds: NDArray[np.intp]
    """(12,): from 0 to ``KINDS - 1``."""
    roots: NDArray[np.intp]
    """(12,): pitch classes, or ``UNNAMED``."""


@cache
def completed_chords(pitch_classes: frozenset[int]) -> Chords:
    """The chords that some pitch classes make with each of the twelve."""
    found = [_named(pitch_classes | {added}) for added in range(12)]
    return Chords(np.array([kind for kind, _ in found]), np.array([root for _, root in found]))


def _named(chord: frozenset[int]) -> tuple[int, int]:
    for root in sorted(chord):
        kind = _KIND.get(frozenset((pitch - root) % 12 for pitch in chord))
        if kind is not None:
            return kind, root
    return 0, UNNAMED
