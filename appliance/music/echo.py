"""What followed the longest match earlier in the piece: an ear for repetition.

Bach repeats: a Stollen note for note, a figure in sequence. A recurrent state keeps the gist of
the past but not its letters, so the letters are looked up and shown to the model as one more
input. Source: the match model of the PAQ compressors (Mahoney 2005, "Adaptive weighing of
context models for lossless data compression"), which keeps one pointer into the past for as long
as it predicts well.
"""

from __future__ import annotations

from bisect import bisect_right

MATCH_LENGTHS = (1, 12, 16, 24, 32, 64, 128)
"""Lower ends of the buckets that a match's length falls into; bucket 0 is no match."""


class Echo:
    """One pointer into what has been said so far.

    Args:
        shortest: so many symbols must agree before a match counts.
    """

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._past: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        """Where a run of ``shortest`` symbols was last followed by another symbol."""
        self._at = 0
        self._length = 0

    @property
    def expected(self) -> int | None:
        """The symbol that followed the match, or None where nothing matches."""
        return self._past[self._at] if self._length else None

    @property
    def bucket(self) -> int:
        """How long the match is: 0 to ``len(MATCH_LENGTHS)``, 0 for none."""
        return bisect_right(MATCH_LENGTHS, self._length)

    def hear(self, symbol: int) -> None:
        """Take in what was really said."""
        if self._length and self._past[self._at] == symbol:
            self._at += 1
            self._length += 1
        else:
            self._length = 0
        self._past.append(symbol)
        if len(self._past) < self._shortest:
            return
        recent = tuple(self._past[-self._shortest :])
        if not self._length and recent in self._after:
            self._at, self._length = self._after[recent], self._shortest
        self._after[recent] = len(self._past)

    def copy(self) -> Echo:
        """A copy that goes its own way."""
        twin = Echo(self._shortest)
        twin._past, twin._after = self._past.copy(), self._after.copy()
        twin._at, twin._length = self._at, self._length
        return twin
