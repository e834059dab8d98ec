"""A model is tried in a process of its own first: TensorFlow Lite trusts what it is given.

The checksum inside a model file tells damage; somebody who means harm can forge it, and the
runtimes' parser then runs off the end of the buffer. A child of the daemon that crashes so is
replaced and at last given up; commands that compose in their own process call this before.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from pathlib import Path
from typing import Final, NoReturn

from appliance.errors import BachboxError

_PATIENCE_SECONDS: Final = 30
"""One token takes less than a millisecond; the import before it some seconds on a small Pi."""


def try_model(path: Path) -> None:
    """Compose one token with the model where a crash does no harm.

    Says nothing of errors that loading it here would raise as well.

    Raises:
        BachboxError: the runtime crashes, or never comes back.
    """
    child = os.fork()
    if child == 0:
        _attempt(path)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise BachboxError(
            f"{path}: this model crashes the runtime ({name}), so it is damaged or meant to do "
            "harm; get it again from where you trust"
        )


def _attempt(path: Path) -> NoReturn:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(_PATIENCE_SECONDS)
        # What the libraries have to say is not for people.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with contextlib.suppress(Exception):
            from appliance.music import bundle
            from appliance.music.interpreter import StepModel

            StepModel(bundle.load(path))
    finally:
        os._exit(0)
