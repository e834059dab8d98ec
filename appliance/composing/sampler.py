"""From logits to one token: temperature, then top-p (Holtzman et al. 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appliance.errors import UsageError
from appliance.music.limits import TEMPERATURE, TOP_P


def sample(
    logits: NDArray[np.float32],
    *,
    temperature: float,
    top_p: float,
    uniform: float,
    forbidden: list[int],
) -> int:
    """Draw a class.

    Args:
        logits: ``(classes,)``.
        temperature: divides the logits; above 0.
        top_p: only the likeliest classes that together hold this share are drawn from.
        uniform: the one random number used, in [0, 1): same number, same draw.
        forbidden: classes never drawn.
    """
    scaled = logits.astype(np.float64) / temperature
    scaled[forbidden] = -np.inf
    likely = np.argsort(-scaled, kind="stable")
    shares = np.exp(scaled[likely] - scaled[likely[0]])
    total = np.cumsum(shares)
    if top_p < 1:
        # The first class that reaches the share is still in, so at least one is left.
        kept = int(np.searchsorted(total, top_p * total[-1])) + 1
        total = total[:kept]
    rank = int(np.searchsorted(total, uniform * total[-1], side="right"))
    return int(likely[min(rank, len(total) - 1)])


def check(temperature: float, top_p: float) -> None:
    """Refuse what would not be music.

    Raises:
        UsageError: out of range.
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
