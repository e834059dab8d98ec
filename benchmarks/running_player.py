"""A real `bachbox play` on the virtual sound card, watched from outside."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from appliance.errors import BachboxError
from appliance.ipc.shared_state import Condition, SharedState
from appliance.state.store import FILE_NAME
from benchmarks.measure import FailedError
from tests.support.virtual_card import VirtualCard

TIMEOUT_S = 60.0
"""A player that does nothing for so long has failed."""
CHILDREN = ("composer", "performer")


class Usage(NamedTuple):
    """One process: seconds of processor time so far, and megabytes now."""

    cpu_s: float
    rss_mb: float
    pss_mb: float
    """Pages shared with other processes divided among them."""
    real_time: bool
    """It has real-time priority, which only some systems grant."""


class Player:
    """A running player: its processes, and the memory that they share."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        self.shared: SharedState

    def attach(self) -> None:
        """Wait until it plays, and map its shared memory as :attr:`shared`."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
                # It may exist already with nothing in it.
                with contextlib.suppress(FileNotFoundError, BachboxError):
                    if entry.readlink().name.startswith("memfd:bachbox"):
                        self.shared = SharedState.attach(os.open(entry, os.O_RDWR))
                        self._wait_for_music(deadline)
                        return
            self.check(deadline)

    def _wait_for_music(self, deadline: float) -> None:
        while self.shared.performer.read().condition is not Condition.PLAYING:
            self.check(deadline)

    def check(self, deadline: float) -> None:
        """Sleep for a moment.

        Raises:
            FailedError: the player has ended, or the deadline has passed.
        """
        if self.process.poll() is not None or time.monotonic() > deadline:
            last = (self._log.read_text().strip().splitlines() or ["it printed nothing"])[-1]
            ended = self.process.returncode
            what = "does not go on" if ended is None else f"ended with {ended}"
            raise FailedError(f"`bachbox play` {what}: {last}")
        time.sleep(0.005)

    def child(self, name: str) -> psutil.Process:
        """The composer or the performer.

        Raises:
            FailedError: there is none.
        """
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                if _name(child) == name:
                    return child
        raise FailedError(f"there is no {name}")

    def has_child(self, name: str) -> bool:
        """Whether there is a composer or a performer."""
        try:
            self.child(name)
        except FailedError:
            return False
        return True

    def usage(self) -> dict[str, Usage]:
        """Every process of the player, by name.

        Raises:
            FailedError: they are not those of the design.
        """
        daemon = psutil.Process(self.process.pid)
        found = {"daemon": _usage(daemon)}
        for child in daemon.children(recursive=True):
            found[_name(child)] = _usage(child)
        if sorted(found) != sorted(("daemon", *CHILDREN)):
            raise FailedError(f"`bachbox play` runs as {', '.join(found)}")
        return found


def _name(child: psutil.Process) -> str:
    """Which of :data:`CHILDREN` a process is; a question mark for another one."""
    modules = (word for word in child.cmdline() if word.startswith("appliance.workers."))
    return next(modules, "?").rpartition(".")[2].removesuffix("_process")


def _usage(process: psutil.Process) -> Usage:
    memory, cpu = process.memory_full_info(), process.cpu_times()
    real_time = os.sched_getscheduler(process.pid) == os.SCHED_FIFO
    return Usage(cpu.user + cpu.system, memory.rss / 1e6, memory.pss / 1e6, real_time)


@contextlib.contextmanager
def playing(
    card: VirtualCard, seed: int, config: str = "", environment: dict[str, str] | None = None
) -> Iterator[Player]:
    """A player with all defaults but ``config`` (TOML), stopped at the end as a service is.

    Raises:
        FailedError: it does not end within ten seconds of SIGTERM.
    """
    settings, log = card.folder / "bachbox.toml", card.folder / "player.log"
    settings.write_text(config)
    # What the player before was set to does not matter to this one.
    (card.folder / "bachbox" / FILE_NAME).unlink(missing_ok=True)
    bachbox = Path(sys.executable).with_name("bachbox")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [bachbox, "play", "--config", settings, "--output", "default", "--seed", str(seed)],
            env=card.environment | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield Player(process, log)
    finally:
        process.terminate()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise FailedError("`bachbox play` did not end within 10 s of SIGTERM") from None
