"""A budget of processor time, so that two training methods can be compared fairly."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

WARMUP_SHARE = 0.05
FINAL_RATE_SHARE = 0.02
"""The learning rate at the end, as a share of the peak."""


class CpuBudget:
    """Processor time of this process, all threads together, spent bit by bit.

    Other programs on the machine slow it down in wall-clock time, but cost nothing of the budget.

    Args:
        budget_s: the whole budget in seconds.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self.spent_s = 0.0

    @property
    def spent_share(self) -> float:
        """The share that is spent; 1 or more at the end."""
        return self.spent_s / self._budget_s

    @contextlib.contextmanager
    def spend(self) -> Iterator[None]:
        """Charge the processor time of the code in the ``with`` block to the budget."""
        start_s = time.process_time()
        try:
            yield
        finally:
            self.spent_s += time.process_time() - start_s

    def learning_rate(self, peak: float) -> float:
        """The learning rate now: a linear warm-up to ``peak``, then a cosine over the budget."""
        warmup = min(1.0, self.spent_share / WARMUP_SHARE + 0.01)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.spent_share)))
        return peak * warmup * (cosine * (1 - FINAL_RATE_SHARE) + FINAL_RATE_SHARE)
