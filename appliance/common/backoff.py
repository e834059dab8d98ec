"""Exponential back-off: how long to wait before the next try."""

from __future__ import annotations

import math


class Backoff:
    """Waiting times that double from ``first_s`` to ``max_s``.

    Args:
        first_s: the first waiting time.
        max_s: the longest waiting time.
        reset_after_s: a try that worked for longer than this makes the times start over.
        first_at_once: the first try after a failure comes without a wait.
    """

    def __init__(
        self,
        first_s: float,
        max_s: float,
        *,
        reset_after_s: float = math.inf,
        first_at_once: bool = False,
    ) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._reset_after_s = reset_after_s
        self._start_s = 0.0 if first_at_once else first_s
        self._next_s = self._start_s

    def next_s(self, worked_s: float = 0.0) -> float:
        """Return how many seconds to wait now, after a try that worked for ``worked_s``."""
        if worked_s > self._reset_after_s:
            self.reset()
        wait_s = self._next_s
        self._next_s = min(2 * wait_s, self._max_s) if wait_s else self._first_s
        return wait_s

    def reset(self) -> None:
        """Start over with the first waiting time."""
        self._next_s = self._start_s
