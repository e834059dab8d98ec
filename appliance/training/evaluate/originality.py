"""How much of a piece stands in the pieces that a model has learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.finished_pieces import Heard, Note

BASE = 0x9E3779B97F4A7C15
"""Odd, so that no power of it is lost modulo 2 to the 64."""
BORDER = 1 << 62
"""Numbers from here on are no notes but the ends of pieces."""


class Shared:
    """Looks for the longest runs that pieces share with a corpus, in whatever key.

    A run is notes in order of their onset, the highest of a chord first; two are the same where
    all intervals and all waits from note to note are. How long notes are held is not compared.

    Args:
        lines: the notes of every piece of the corpus.
    """

    def __init__(self, lines: Sequence[Sequence[Note]]) -> None:
        signs: list[int] = []
        for number, line in enumerate(lines):
            # No run goes on from one piece to another.
            signs += [*_signs(line), BORDER + number]
        self._known = _rolled(signs)
        self._length = len(signs)
        self._grams = cache(self._windows)

    def longest(self, line: Sequence[Note]) -> int:
        """Notes in the longest run that a line shares with the corpus: 0, or at least 2."""
        signs = _signs(line)
        rolled = _rolled(signs)
        low, high = 0, min(len(signs), self._length)
        while low < high:
            middle = (low + high + 1) // 2
            ours, known = _hashes(rolled, middle), self._grams(middle)
            at = np.searchsorted(known, ours)
            if (known[np.minimum(at, len(known) - 1)] == ours).any():
                low = middle
            else:
                high = middle - 1
        return low + 1 if low else 0

    def _windows(self, length: int) -> NDArray[np.uint64]:
        return np.sort(_hashes(self._known, length))


def _signs(line: Sequence[Note]) -> list[int]:
    """Interval and wait from every note to the next, as one number."""
    return [(b.pitch - a.pitch + 128 << 32) + b.start - a.start for a, b in pairwise(line)]


@cache
def _mixed(sign: int) -> int:
    """Spread over all 64 bits, so that what differs in the high ones alone is as far apart.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    sign = (sign ^ (sign >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
    sign = (sign ^ (sign >> 27)) * 0x94D049BB133111EB % (1 << 64)
    return sign ^ (sign >> 31)


def _rolled(signs: Sequence[int]) -> NDArray[np.uint64]:
    """A polynomial hash of every beginning, modulo 2 to the 64."""
    found, value = [0], 0
    for sign in signs:
        value = (value * BASE + _mixed(sign)) % (1 << 64)
        found.append(value)
    return np.array(found, np.uint64)


def _hashes(rolled: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """Of every window of so many signs."""
    return rolled[length:] - rolled[:-length] * np.uint64(pow(BASE, length, 1 << 64))


def longest_runs(corpus: Sequence[Heard], pieces: Sequence[Heard]) -> list[int]:
    """Of each piece, the notes in the longest run that is somewhere in the corpus."""
    known = Shared([piece.notes for piece in corpus])
    return [known.longest(piece.notes) for piece in pieces]


def longest_melodies(corpus: Sequence[Heard], pieces: Sequence[Heard]) -> list[int]:
    """The same of the highest line alone."""
    known = Shared([piece.top() for piece in corpus])
    return [known.longest(piece.top()) for piece in pieces]
