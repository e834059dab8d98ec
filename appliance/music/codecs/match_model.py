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

ECHOED_NOTES, MAX_ECHOED = 32, 16
"""Of so many notes so many may say again, note for note, what the piece has said before; half of
Bach's movements keep to it. A Transformer hears its own echo and goes on, the colder the longer."""

PAGE = 64
"""Symbols after which what was heard is closed and shared by all copies."""


def echo_inputs(classes: int) -> int:
    """How many inputs tell of one echo: the expected class or none, and the match's length."""
    return classes + 1 + len(MATCH_LENGTHS) + 1


class MatchModel:
    """One pointer into what has been said so far.

    A copy is taken at every step of the music, so the past is kept in pages: those that are
    full never change again and belong to all copies, and only the last is copied.

    Args:
        shortest: so many symbols must agree before a match counts.
    """

    def __init__(self, shortest: int) -> None:
        self._shortest = shortest
        self._pages: list[tuple[int, ...]] = []
        self._page: list[int] = []
        self._indexes: list[dict[tuple[int, ...], int]] = []
        self._index: dict[tuple[int, ...], int] = {}
        """Where a run of ``shortest`` symbols was last followed by another symbol, a page each."""
        self._recent: tuple[int, ...] = ()
        self._at = 0
        self._length = 0

    @property
    def expected(self) -> int | None:
        """The symbol that followed the match, or None where nothing matches."""
        if not self._length:
            return None
        page, place = divmod(self._at, PAGE)
        return (self._pages[page] if page < len(self._pages) else self._page)[place]

    @property
    def bucket(self) -> int:
        """How long the match is: 0 to ``len(MATCH_LENGTHS)``, 0 for none."""
        return bisect_right(MATCH_LENGTHS, self._length)

    def hear(self, symbol: int) -> None:
        """Take in what was really said."""
        if self._length and self.expected == symbol:
            self._at += 1
            self._length += 1
        else:
            self._length = 0
        self._page.append(symbol)
        self._recent = (*self._recent[1 - self._shortest :], symbol)
        if len(self._recent) == self._shortest:
            if not self._length:
                self._look_up()
            self._index[self._recent] = len(self._pages) * PAGE + len(self._page)
        if len(self._page) == PAGE:
            self._pages.append(tuple(self._page))
            self._indexes.append(self._index)
            self._page, self._index = [], {}

    def _look_up(self) -> None:
        for index in (self._index, *reversed(self._indexes)):
            if self._recent in index:
                self._at, self._length = index[self._recent], self._shortest
                return

    def copy(self) -> MatchModel:
        """A copy that goes its own way."""
        twin = MatchModel(self._shortest)
        twin._pages, twin._page = self._pages.copy(), self._page.copy()
        twin._indexes, twin._index = self._indexes.copy(), self._index.copy()
        twin._recent, twin._at, twin._length = self._recent, self._at, self._length
        return twin


class RepetitionLimit:
    """How much of the music of late was an echo, note for note."""

    def __init__(self) -> None:
        self._echoing = True
        """The note being said is, as far as it has been said, what the echo expected."""
        self._echoed = 0
        """One bit a note, the last one lowest: set where all of it was."""

    def hear(self, *, as_before: bool) -> None:
        """Take in one symbol of a note, and whether the echo expected it."""
        self._echoing &= as_before

    def end_note(self) -> None:
        """The note has been said."""
        self._echoed = (self._echoed << 1 | self._echoing) % (1 << ECHOED_NOTES)
        self._echoing = True

    @property
    def too_many(self) -> bool:
        """The next note is to be a new one."""
        return self._echoed.bit_count() >= MAX_ECHOED
