"""A child of the daemon must not outlive it, whatever kills the daemon."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel send this process SIGTERM when its parent process ends.

    ``parent`` is who started it: one that has ended while we were starting cannot be asked any
    more, and somebody else is our parent then (prctl(2), PR_SET_PDEATHSIG).
    """
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
