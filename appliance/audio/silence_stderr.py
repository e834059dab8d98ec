"""The C libraries of sound talk to standard error; their users should not have to read it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Only Python may write to standard error.

    ALSA, JACK, PortAudio and GLib write to file descriptor 2 whatever they try in vain.
    """
    sys.stderr.flush()
    python_stderr, kept = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(kept, "w", buffering=1)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = python_stderr
