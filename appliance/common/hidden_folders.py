"""Folders that systemd hides from a service: ``ProtectHome=yes`` in its unit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from appliance.common.procfs import text_of

_MOUNTS: Final = Path("/proc/self/mountinfo")


def hidden_problem(what: str, path: Path) -> str:
    """Return the sentence that the service does not see ``path``; "" if it is not hidden.

    Args:
        what: what is there, such as "the soundfont".
        path: of a file or folder.
    """
    if not is_hidden_from_service(path):
        return ""
    return f"the service does not see {what} {path}, since home folders are hidden from it"


def is_hidden_from_service(path: Path, mounts: Path | None = None) -> bool:
    """Return whether ``path`` lies in a folder that this process may not see, whoever owns it.

    Args:
        path: of a file.
        mounts: the mounts, as proc(5) describes ``mountinfo``; by default those of this process.
    """
    fields = [line.split(" ") for line in text_of(mounts or _MOUNTS).splitlines()]
    hidden = [field[4] for field in fields if len(field) > 4 and "/inaccessible/" in field[3]]
    return any(path.absolute().is_relative_to(folder) for folder in hidden)
