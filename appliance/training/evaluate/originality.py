"""How long the runs of notes are that a piece shares with the training pieces."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.music.notes import Note

HASH_BASE = 0x9E3779B97F4A7C15
"""Odd, so that no power of it loses bits modulo 2 ** 64."""
PIECE_END = 1 << 62
"""Symbols from here on are the ends of pieces, not notes."""


class SharedRuns:
    """Finds the longest run of notes that a piece shares with a corpus, in any transposition.

    A run is notes in the order of their onsets, the highest of a chord first. Two runs are the
    same if all intervals and all times between the onsets are; durations are not compared.

    Args:
        lines: the notes of each piece of the corpus.
    """

    def __init__(self, lines: Sequence[Sequence[Note]]) -> None:
        symbols: list[int] = []
        for number, line in enumerate(lines):
            # A unique symbol after each piece, so that no run crosses the border.
            symbols += [*_symbols(line), PIECE_END + number]
        self._prefix_hashes = _prefix_hashes(symbols)
        self._length = len(symbols)
        self._sorted_hashes = cache(self._hash_windows)

    def longest(self, line: Sequence[Note]) -> int:
        """The number of notes in the longest shared run: 0, or at least 2."""
        symbols = _symbols(line)
        hashes = _prefix_hashes(symbols)
        # If a run of some length is shared, all shorter ones are: bisection finds the longest.
        low, high = 0, min(len(symbols), self._length)
        while low < high:
            middle = (low + high + 1) // 2
            wanted, known = _window_hashes(hashes, middle), self._sorted_hashes(middle)
            places = np.searchsorted(known, wanted)
            if (known[np.minimum(places, len(known) - 1)] == wanted).any():
                low = middle
            else:
                high = middle - 1
        return low + 1 if low else 0

    def _hash_windows(self, length: int) -> NDArray[np.uint64]:
        return np.sort(_window_hashes(self._prefix_hashes, length))


def _symbols(line: Sequence[Note]) -> list[int]:
    """For every two notes in a row, interval and time between the onsets in one number."""
    return [(b.pitch - a.pitch + 128 << 32) + b.start - a.start for a, b in pairwise(line)]


@cache
def _mix_bits(symbol: int) -> int:
    """Spread a symbol over 64 bits, so that symbols that differ in few bits have no like hashes.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    symbol = (symbol ^ (symbol >> 30)) * 0xBF58476D1CE4E5B9 % (1 << 64)
    symbol = (symbol ^ (symbol >> 27)) * 0x94D049BB133111EB % (1 << 64)
    return symbol ^ (symbol >> 31)


def _prefix_hashes(symbols: Sequence[int]) -> NDArray[np.uint64]:
    """The polynomial hash of every prefix modulo 2 ** 64, ``(symbols + 1,)``."""
    hashes, value = [0], 0
    for symbol in symbols:
        value = (value * HASH_BASE + _mix_bits(symbol)) % (1 << 64)
        hashes.append(value)
    return np.array(hashes, np.uint64)


def _window_hashes(prefix_hashes: NDArray[np.uint64], length: int) -> NDArray[np.uint64]:
    """The hash of every window of ``length`` symbols, ``(symbols - length + 1,)``."""
    factor = np.uint64(pow(HASH_BASE, length, 1 << 64))
    return prefix_hashes[length:] - prefix_hashes[:-length] * factor
