"""Keeps C libraries from writing to standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def silence_stderr(into: int | None = None) -> Iterator[None]:
    """Discard what anything but Python writes to standard error.

    ALSA, JACK, PortAudio and GLib report on file descriptor 2 everything that they try in vain.

    Args:
        into: a file descriptor that gets it; None: nobody does.
    """
    sys.stderr.flush()
    python_stderr, kept = sys.stderr, os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null if into is None else into, 2)
    os.close(null)
    sys.stderr = os.fdopen(kept, "w", buffering=1)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        sys.stderr.close()
        sys.stderr = python_stderr
