"""Run a task in a forked process, so that a crash in a C library does no harm here.

TensorFlow Lite trusts the model that it is given (its checksum tells damage, but who means harm
can forge it), FluidSynth's parser has had its holes, and PortAudio aborts on a broken ALSA
config. A child of the daemon that crashes so is replaced and at last given up; commands that
use these libraries in their own process try them here before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from appliance.errors import BachboxError

_TIMEOUT_S: Final = 30
"""Nothing tried here takes longer, on a small Pi and with a large soundfont."""


def run_in_fork(task: Callable[[], object], patience_seconds: int = _TIMEOUT_S) -> str | None:
    """The signal that ends a process which does ``task``; None where it comes through.

    An exception counts as coming through: done again in this process it says more.
    """
    child = os.fork()
    if child == 0:
        _attempt(task, patience_seconds)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None


def refuse_crash(path: Path, kind: str, library: str, ended_by: str | None) -> None:
    """Refuse a file whose trial ended by a signal.

    Raises:
        BachboxError: ``ended_by`` names a signal.
    """
    if ended_by is not None:
        raise BachboxError(
            f"{path}: this {kind} crashes {library} ({ended_by}), so it is damaged or meant to "
            "do harm; get it again from where you trust"
        )


def _attempt(task: Callable[[], object], patience_seconds: int) -> NoReturn:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # A handler in Python would wait until the library comes back.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(patience_seconds)
        # What the libraries have to say is not for people.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with contextlib.suppress(Exception):
            task()
    finally:
        os._exit(0)
