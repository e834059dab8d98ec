"""Small calculations that all features share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from appliance.training.evaluate.pages import GRID

Features = dict[str, float]
"""Value by name; a feature that cannot be computed for an excerpt is left out."""

STEP = GRID // 4
"""Grid positions in a 16th."""


def share(some: Iterable[object], of: Sequence[object] | int) -> float:
    """Return how many of ``some`` there are for each of ``of``; 0 where ``of`` is empty."""
    count = of if isinstance(of, int) else len(of)
    return sum(1 for _ in some) / count if count else 0.0


def entropy(values: Iterable[Hashable]) -> float:
    """Return the entropy of the distribution of ``values``, in bits."""
    counts = np.array(list(Counter(values).values()), float)
    if not len(counts):
        return 0.0
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
