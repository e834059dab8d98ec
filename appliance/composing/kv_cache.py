"""The last rows of what a model has told itself: a memory that a step adds one row to.

A Transformer's keys and values are such rows, hundreds of them. Inside the model's graph they
would be copied at every step; here a row is written once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int8]


class _Log:
    """Rows in the order of writing, in a buffer twice as long as what is seen of it."""

    def __init__(self, rows: Rows) -> None:
        self.buffer = np.concatenate([rows, np.empty_like(rows)])
        self.used = len(rows)


class KVCache(NamedTuple):
    """The ``length`` rows before ``end`` in a log, oldest first; what it shows never changes.

    Windows share their log: the one that ends where the log does lets it grow, and any other,
    or one at the end of the buffer, takes its rows along into a log of their own.
    """

    log: _Log
    end: int
    length: int

    @classmethod
    def of(cls, rows: Rows) -> KVCache:
        """A window on these rows, ``(length, width)``."""
        return cls(_Log(rows), len(rows), len(rows))

    @property
    def rows(self) -> Rows:
        """``(length, width)``, contiguous."""
        rows: Rows = self.log.buffer[self.end - self.length : self.end]
        return rows

    def after(self, row: Rows) -> KVCache:
        """The window one row later: the oldest has gone, ``row`` is the youngest."""
        log, end = self.log, self.end
        if end < log.used or end == len(log.buffer):
            log, end = _Log(self.rows), self.length
        log.buffer[end] = row
        log.used = end + 1
        return KVCache(log, end + 1, self.length)
