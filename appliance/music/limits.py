"""The ranges that models, settings, the sampler and shared memory agree on, each stated once."""

from __future__ import annotations

from typing import Final, NamedTuple


class Limits(NamedTuple):
    """The lowest and the highest value that is allowed."""

    low: float
    high: float

    def allow(self, value: float) -> bool:
        """Return whether ``value`` lies in the range, ends included; False for NaN."""
        return self.low <= value <= self.high


TEMPO_BPM: Final = Limits(40, 240)
"""Quarter notes per minute."""

TEMPERATURE: Final = Limits(0.1, 3.0)
"""Divisor of the logits; below, the music freezes, above it is noise."""

TOP_P: Final = Limits(0.05, 1.0)

MAX_MODEL_NAME_BYTES: Final = 48
"""The longest name of a model, in bytes of UTF-8; shared memory has a field of this width."""
