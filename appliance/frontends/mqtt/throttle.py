"""Limit how often something is done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Throttle:
    """Calls ``work`` soon after each request, but at most once every ``interval_s``.

    For use in an event loop. The last request is always followed by a call.
    """

    def __init__(self, interval_s: float, work: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._work = work
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def request(self, delay_s: float = 0.0) -> None:
        """Do the work, no earlier than in ``delay_s``; no effect if a call is pending."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(delay_s, self._last + self._interval_s - loop.time())
            self._timer = loop.call_later(wait_s, self._run)

    def cancel(self) -> None:
        """Drop the pending call, if there is one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        self._last = asyncio.get_running_loop().time()
        self._work()
