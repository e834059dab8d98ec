"""Folders that systemd hides from a service: ``ProtectHome=yes`` in its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.common.procfs import text_of

_MOUNTS: Final = Path("/proc/self/mountinfo")


def is_hidden_from_service(path: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether ``path`` lies in a folder that this process may not see, whoever owns it.

    Args:
        path: of a file.
        mounts: the mounts of this process, as proc(5) describes ``mountinfo``.
    """
    fields = [line.split(" ") for line in text_of(mounts).splitlines()]
    hidden = [field[4] for field in fields if len(field) > 4 and "/inaccessible/" in field[3]]
    return any(path.absolute().is_relative_to(folder) for folder in hidden)
