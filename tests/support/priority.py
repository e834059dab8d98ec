"""A sound card and a browser cannot wait for whatever else the machine has to do.

Linux shares the processor first among sessions (sched_autogroup), then among their processes, and
a browser that is driven has a session of its own: so both are asked for. Who may not ask (not
root) gets what there is.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_HASTE = -15
"""Of -20 to 19, as nice counts."""


@contextlib.contextmanager
def before_others() -> Iterator[None]:
    """What we and our children do meanwhile goes before the machine's other work."""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    group = _group_nice(os.getpid())
    _hurry(os.getpid(), _HASTE, _HASTE)
    try:
        yield
    finally:
        _hurry(os.getpid(), nice, group)


def hurry_children() -> None:
    """Children that have begun a session of their own go before others, too."""
    for child in psutil.Process().children(recursive=True):
        _hurry(child.pid, _HASTE, _HASTE)


def real_time_children(name: str) -> None:
    """Children called ``name``, and whatever they start, wait for nobody but a sound card.

    A player that stands for one in another room is another machine in a house.
    """
    for child in _children(name):
        for thread in _threads(child):
            _be_real_time(thread)


def real_time_sound(name: str) -> None:
    """Threads of children called ``name`` that carry sound wait for nobody but a sound card.

    Only these: a browser that draws without a graphics card would take all there is, also from the
    box that it listens to.
    """
    for child in _children(name):
        with contextlib.suppress(psutil.Error):
            service = any("AudioService" in argument for argument in child.cmdline())
            for thread in _threads(child):
                if service or _called(thread).startswith("Audio"):
                    _be_real_time(thread)


def _children(name: str) -> Iterator[psutil.Process]:
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if name in child.name():
                yield child


def _threads(process: psutil.Process) -> list[Path]:
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{process.pid}/task").iterdir())
    return []


def _called(thread: Path) -> str:
    with contextlib.suppress(OSError):
        return (thread / "comm").read_text()
    return ""


def _be_real_time(thread: Path) -> None:
    with contextlib.suppress(PermissionError, ProcessLookupError):
        os.sched_setscheduler(int(thread.name), os.SCHED_RR, os.sched_param(1))


def _hurry(pid: int, nice: int, group: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(group))


def _group_nice(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])
    return 0
