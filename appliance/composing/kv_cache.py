"""The key and value cache of a Transformer: a sliding window on its last rows.

Inside the model's graph the whole window would be copied at every step; here each row is written
once. How many rows there are is part of the model: ``memory_tokens`` in its recipe.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int8]


class _Buffer:
    """Rows in the order of writing, with room for twice as many as a window shows."""

    def __init__(self, rows: Rows) -> None:
        self.rows = np.concatenate([rows, np.empty_like(rows)])
        self.used = len(rows)


class KVCache(NamedTuple):
    """A window on the ``length`` rows before row ``end`` of a buffer; its contents never change.

    Windows share their buffer. :meth:`append` writes into it if the window ends where the used
    rows end. Otherwise, or if the buffer is full, the window's rows are copied into a new buffer.
    """

    buffer: _Buffer
    end: int
    length: int

    @classmethod
    def of(cls, rows: Rows) -> KVCache:
        """Return a window on a copy of ``rows``, int8 ``(length, width)``, the oldest first."""
        return cls(_Buffer(rows), len(rows), len(rows))

    @property
    def rows(self) -> Rows:
        """The rows in the window, int8 ``(length, width)``, contiguous, the oldest first."""
        rows: Rows = self.buffer.rows[self.end - self.length : self.end]
        return rows

    def append(self, row: Rows) -> KVCache:
        """Return the window one row later: without its oldest row, and with ``row`` at the end.

        Args:
            row: int8 ``(width,)``.
        """
        buffer, end = self.buffer, self.end
        if end < buffer.used or end == len(buffer.rows):
            buffer, end = _Buffer(self.rows), self.length
        buffer.rows[end] = row
        buffer.used = end + 1
        return KVCache(buffer, end + 1, self.length)
