"""Replace a file as a whole, so that a crash or a power cut leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

DEFAULT_MODE: Final = 0o666
"""Permissions of a new file, before the umask."""


def write_atomically(path: Path, data: bytes, mode: int = DEFAULT_MODE) -> None:
    """Replace ``path`` by a file that holds ``data``.

    After a power cut at any moment, ``path`` holds either the old content or the new one: the
    data is written to a file beside it and flushed to the disk, the file is renamed, and the
    folder is flushed too.

    Args:
        path: the file; its folder must exist.
        data: the new content.
        mode: permissions of the file, before the umask.

    Raises:
        OSError: the disk is full or read-only, or permission is denied; ``path`` is unchanged.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        # A leftover of a crash may have other permissions.
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        move_into_place(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def move_into_place(part: Path, path: Path) -> None:
    """Rename the finished file ``part`` to ``path``, in the same folder, and flush both to disk.

    Raises:
        OSError: it could not be flushed or renamed.
    """
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
