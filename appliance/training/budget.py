"""Two ways of learning compared: each gets the same processor time."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

WARMUP_SHARE = 0.05
FINAL_RATE = 0.02


class Budget:
    """Processor time of this process (all its threads), spent bit by bit.

    Other programs on the machine make it last longer, and count for nothing.

    Args:
        seconds: how much there is.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.spent_s = 0.0

    @property
    def share(self) -> float:
        """What is spent of it; 1 and more when it is over."""
        return self.spent_s / self._seconds

    @contextlib.contextmanager
    def spend(self) -> Iterator[None]:
        """What is done within counts."""
        began = time.process_time()
        try:
            yield
        finally:
            self.spent_s += time.process_time() - began

    def rate(self, peak: float) -> float:
        """The learning rate now: a warm-up, then a cosine that ends with the time."""
        warm = min(1.0, self.share / WARMUP_SHARE + 0.01)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.share)))
        return peak * warm * (cosine * (1 - FINAL_RATE) + FINAL_RATE)
