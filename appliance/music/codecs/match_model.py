"""What followed the longest match earlier in the piece, as an input to the model.

Bach repeats: the two halves of a bar form note for note, a figure in sequence. A recurrent state
keeps a summary of the past but not its details, so the details are looked up and shown to the
model as one more input.

Source: the match model of the PAQ compressors (Mahoney 2005, "Adaptive weighing of context models
for lossless data compression"), which keeps one pointer into the past for as long as it predicts
well.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from appliance.common.copying import Copyable
from appliance.music.codecs.input_layout import Inputs

MATCH_LENGTHS = (1, 12, 16, 24, 32, 64, 128)
"""Lower ends of the buckets for the length of a match; bucket 0 stands for no match."""

REPETITION_WINDOW_NOTES, MAX_REPEATED_NOTES = 32, 16
"""Of the last 32 notes at most 16 may repeat earlier music note for note.

Half of Bach's movements keep to this. A Transformer that sees its own repetitions repeats them
again, and more so at low temperatures.
"""

PAGE_SYMBOLS = 64
"""Symbols after which a part of the past is closed and shared by all copies."""


def match_input_count(classes: int) -> int:
    """How many inputs describe one match: the predicted class or none, and the match's length."""
    return classes + 1 + len(MATCH_LENGTHS) + 1


def match_features(
    inputs: Inputs, classes: int, matches: Iterable[tuple[int | None, int]]
) -> list[int]:
    """Indices of the ones that describe some matches, in the part ``match`` of a layout.

    Args:
        inputs: a layout whose part ``match`` has a row of :func:`match_input_count` inputs for
            every match.
        classes: size of the vocabulary.
        matches: of each match the predicted class, ``None`` for none, and the length's bucket.
    """
    ones = []
    for row, (predicted, length_bucket) in enumerate(matches):
        ones.append(inputs["match", row, classes if predicted is None else predicted])
        ones.append(inputs["match", row, classes + 1 + length_bucket])
    return ones


class MatchModel(Copyable):
    """One pointer into the symbols seen so far.

    A copy is taken at every step of the music, so the past is kept in pages: full pages never
    change again and belong to all copies; only the last page is copied.

    Args:
        min_length: how many symbols must agree before a match counts.
    """

    def __init__(self, min_length: int) -> None:
        self._min_length = min_length
        self._pages: tuple[tuple[int, ...], ...] = ()
        self._page: list[int] = []
        self._indexes: tuple[Mapping[tuple[int, ...], int], ...] = ()
        """One index per full page."""
        self._index: dict[tuple[int, ...], int] = {}
        """Where a run of ``min_length`` symbols was last followed by another symbol."""
        self._recent: tuple[int, ...] = ()
        self._position = 0
        """Of the predicted symbol, if there is a match."""
        self._length = 0
        """Symbols that the match has agreed for, 0 without a match."""

    @property
    def predicted(self) -> int | None:
        """The symbol that followed the match, or ``None`` without a match."""
        if not self._length:
            return None
        page, place = divmod(self._position, PAGE_SYMBOLS)
        return (self._pages[page] if page < len(self._pages) else self._page)[place]

    @property
    def length_bucket(self) -> int:
        """Bucket of the match's length: 1 to ``len(MATCH_LENGTHS)``, 0 without a match."""
        return bisect_right(MATCH_LENGTHS, self._length)

    def update(self, symbol: int) -> None:
        """Record the symbol that came next."""
        if self._length and self.predicted == symbol:
            self._position += 1
            self._length += 1
        else:
            self._length = 0
        self._page.append(symbol)
        self._recent = (*self._recent[1 - self._min_length :], symbol)
        if len(self._recent) == self._min_length:
            if not self._length:
                self._look_up()
            self._index[self._recent] = len(self._pages) * PAGE_SYMBOLS + len(self._page)
        if len(self._page) == PAGE_SYMBOLS:
            self._pages += (tuple(self._page),)
            self._indexes += (MappingProxyType(self._index),)
            self._page, self._index = [], {}

    def _look_up(self) -> None:
        for index in (self._index, *reversed(self._indexes)):
            if self._recent in index:
                self._position, self._length = index[self._recent], self._min_length
                return


class RepetitionLimit(Copyable):
    """Counts how many of the last notes repeat earlier music note for note."""

    def __init__(self) -> None:
        self._repeats = True
        """All tokens of the current note so far are the predicted ones."""
        self._repeated = 0
        """One bit per note, the newest lowest: set where all its tokens were predicted."""

    def update(self, *, as_predicted: bool) -> None:
        """Record one token of a note, and whether it was the one that had been predicted."""
        self._repeats &= as_predicted

    def end_note(self) -> None:
        """Record the end of a note."""
        self._repeated = (self._repeated << 1 | self._repeats) % (1 << REPETITION_WINDOW_NOTES)
        self._repeats = True

    @property
    def reached(self) -> bool:
        """Whether the next note must not repeat."""
        return self._repeated.bit_count() >= MAX_REPEATED_NOTES
