"""Run a task in a forked process, so that a crash in a C library does not end this process.

TensorFlow Lite trusts the model that it is given (a checksum finds damage, but an attacker can
forge it), FluidSynth's parser has had security holes, and PortAudio aborts on a broken ALSA config.
A child of the daemon that crashes is replaced and, if it keeps crashing, given up. Commands that
use these libraries in their own process try them here first.
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
"""No task takes longer, on a small Pi and with a large soundfont."""


def run_in_fork(task: Callable[[], object], timeout_s: int = _TIMEOUT_S) -> str | None:
    """Call ``task`` in a forked process; return the name of the signal that ended it, or None.

    An exception counts as success: if the task is repeated in this process, it says more. After
    ``timeout_s`` seconds the signal is ``SIGALRM``.
    """
    child = os.fork()
    if child == 0:
        _run(task, timeout_s)
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else None


def refuse_crash(path: Path, kind: str, library: str, ended_by: str | None) -> None:
    """Refuse the file ``path`` if its trial was ended by a signal.

    Raises:
        BachboxError: ``ended_by`` names a signal.
    """
    if ended_by is not None:
        raise BachboxError(
            f"this {kind} crashes {library} ({ended_by}), so it is damaged or malicious",
            path=path,
            remedy="get it again from a source that you trust",
        )


def _run(task: Callable[[], object], timeout_s: int) -> NoReturn:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # The default action: a Python handler would wait until the library returns.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(timeout_s)
        # What the libraries print is not meant for users.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with contextlib.suppress(Exception):
            task()
    finally:
        os._exit(0)
