"""Signals for the children of asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal


def send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to a child, if it has not ended.

    Not ``process.kill()`` and the like: up to Python 3.13 they look first whether the child has
    ended, and take its exit code away from the event loop if it just has. Then asyncio warns
    "Unknown child process pid", and 255 is taken for the exit code (CPython issue 127049).
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
