"""From logits to one token: temperature, then top-p (Holtzman et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.music.limits import TEMPERATURE, TOP_P

PLANNED_BONUS = 8.0
"""Added to the logits, at any temperature, of the classes that a piece's map of returns plans."""


def sample(
    logits: NDArray[np.float32],
    *,
    temperature: float,
    top_p: float,
    uniform: float,
    forbidden: list[int],
    planned: Sequence[int] = (),
    correction: NDArray[np.float64] | None = None,
) -> int:
    """Draw a class, and return its index.

    Args:
        logits: float32 ``(classes,)``.
        temperature: divides the logits; above 0.
        top_p: only the likeliest classes that together have this probability can be drawn.
        uniform: the random number that decides, in [0, 1).
        forbidden: classes that cannot be drawn.
        planned: classes that are to be preferred.
        correction: float64 ``(classes,)``, added to the logits at any temperature.
    """
    scaled_logits = logits.astype(np.float64) / temperature
    if correction is not None:
        scaled_logits += correction
    if planned:
        scaled_logits[[*planned]] += PLANNED_BONUS
    scaled_logits[forbidden] = -np.inf
    likely = np.argsort(-scaled_logits, kind="stable")
    probabilities = np.exp(scaled_logits[likely] - scaled_logits[likely[0]])
    total = np.cumsum(probabilities)
    if top_p < 1:
        # The class that reaches the threshold is kept too, so at least one is left.
        kept = int(np.searchsorted(total, top_p * total[-1])) + 1
        total = total[:kept]
    rank = int(np.searchsorted(total, uniform * total[-1], side="right"))
    return int(likely[min(rank, len(total) - 1)])


def check(temperature: float, top_p: float) -> None:
    """Check the two settings of :func:`sample`.

    Raises:
        UsageError: one of them is out of range.
    """
    if not TEMPERATURE.allow(temperature):
        raise UsageError(
            f"temperature {temperature:g} is out of range; "
            f"allowed: {TEMPERATURE.low:g} to {TEMPERATURE.high:g}"
        )
    if not TOP_P.allow(top_p):
        raise UsageError(
            f"top-p {top_p:g} is out of range; allowed: {TOP_P.low:g} to {TOP_P.high:g}"
        )
