"""A child of the daemon must not outlive it, whatever kills the daemon."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


def end_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """Have the kernel send this process ``signal_number`` when its parent process ends."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        # It ended between our start and the request.
        os.kill(os.getpid(), signal_number)
