"""Files of the kernel in /proc and /sys, and its table of processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")

# Indices into /proc/PID/stat after the name, see proc_pid_stat(5).
_STATE, _USER_TIME, _SYSTEM_TIME, _RSS = 0, 11, 12, 21


def text_of(file: Path) -> str:
    """Return the text in a file of the kernel without what ends it; "" if it cannot be read."""
    try:
        return file.read_text(errors="replace").rstrip("\0\n")
    except OSError:
        return ""


class ProcessStat(NamedTuple):
    """What the kernel says about a process."""

    state: str
    """One letter: T is stopped by a signal; Z and X have ended."""
    rss_bytes: int
    """Resident memory."""
    cpu_s: float
    """Processor time used so far, user and system together."""


def read_stat(pid: int) -> ProcessStat | None:
    """Return state, memory and processor time of the process ``pid``; None if it is gone.

    Source: proc_pid_stat(5).
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        # The name stands in parentheses, and may itself contain blanks and parentheses.
        fields = stat.rpartition(")")[2].split()
        return ProcessStat(
            state=fields[_STATE],
            rss_bytes=int(fields[_RSS]) * _PAGE_BYTES,
            cpu_s=(int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_PER_S,
        )
    except (OSError, ValueError, IndexError):
        return None


def ran_s(pid: int) -> float:
    """Return how long the first thread of ``pid`` has run on a processor so far.

    Far finer than ``cpu_s`` of :func:`read_stat`. 0 if it is not known. See sched-stats.rst of
    Linux.
    """
    ran_ns, _, _ = (text_of(Path(f"/proc/{pid}/schedstat")) or "0 0 0").split()
    return int(ran_ns) / 1e9
