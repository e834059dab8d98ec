"""Memory that the C library keeps after it was freed."""

from __future__ import annotations

import ctypes


def return_freed_memory() -> None:
    """Give memory that was freed back to the system: what a start needed and playing does not.

    Only glibc can (``malloc_trim(3)``); elsewhere nothing happens.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
