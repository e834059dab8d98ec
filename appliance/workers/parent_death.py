"""Ends a child process with its parent, whatever kills the parent."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
"""From linux/prctl.h."""


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel send this process SIGTERM when its parent process ends.

    Source: prctl(2), PR_SET_PDEATHSIG.

    Args:
        parent: process ID of the process that started this one; by default the present parent.
            If it has ended already, this process has another parent and gets SIGTERM at once.
    """
    parent = os.getppid() if parent is None else parent
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
