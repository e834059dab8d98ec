"""The moments at which blocks of sound begin, without the jitter of the calls that render them."""

from __future__ import annotations

from typing import Final

_MAX_DRIFT: Final = 0.0005
"""How much slower than the system's clock a sound card may be: 500 ppm."""

_JUMP_S: Final = 0.25
"""A block that comes so much later follows an xrun or a sleep, and begins a new count."""


class BlockClock:
    """Follows the earliest calls: a call is never early, it can only be late."""

    def __init__(self) -> None:
        self._next_s: float | None = None

    def begin(self, now_s: float, block_s: float) -> float:
        """Return when a block began that is rendered now.

        Args:
            now_s: the time of ``time.monotonic()``.
            block_s: how long the block lasts.
        """
        expected_s = now_s if self._next_s is None else self._next_s
        late_s = now_s - expected_s
        if not 0 <= late_s <= _JUMP_S:
            expected_s = now_s
        else:
            expected_s += min(late_s, _MAX_DRIFT * block_s)
        self._next_s = expected_s + block_s
        return expected_s
