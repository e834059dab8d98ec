"""Run the command as a user does, as a real process, and read its output."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

BACHBOX = (sys.executable, "-m", "appliance")

_TIMEOUT_S = 120.0
"""A hang fails the test; how fast things are is measured elsewhere."""


NO_CARD = "a card that nobody has"
"""An output that is no sound card on any machine."""


class Finished(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str

    def is_one_sentence(self, code: int, *parts: str) -> None:
        """Check that it failed with ``code`` and one sentence that contains all ``parts``."""
        lines = self.err.splitlines()
        assert self.code == code, self.err
        assert "Traceback" not in self.err
        assert len(lines) == 1, self.err
        assert lines[0].startswith("bachbox: ")
        assert len(lines[0]) < 400
        for part in parts:
            assert part in lines[0]


def home(folder: Path) -> dict[str, str]:
    """Return an environment without the user's own config, state and running box."""
    names = {
        "XDG_CACHE_HOME": "cache",
        "XDG_CONFIG_HOME": "config",
        "XDG_DATA_HOME": "data",
        "XDG_RUNTIME_DIR": "run",
        "XDG_STATE_HOME": "state",
    }
    return os.environ | {variable: str(folder / name) for variable, name in names.items()}


def bachbox(
    *arguments: object,
    env: dict[str, str],
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Finished:
    """Run ``bachbox`` to its end."""
    done = subprocess.run(
        [*BACHBOX, *map(str, arguments)],
        env=env | {"PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


class Playing:
    """A running ``bachbox play``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """Wait until ``count`` lines match ``pattern``; return the first of them."""
        deadline = time.monotonic() + _TIMEOUT_S
        with self._news:
            while True:
                found = [line for line in self.lines if re.search(pattern, line)]
                if len(found) >= count:
                    return found[0]
                left = deadline - time.monotonic()
                assert left > 0, (pattern, self.lines)
                assert self._reader.is_alive(), (pattern, self.lines)
                self._news.wait(min(left, 0.5))

    def child(self, name: str) -> psutil.Process:
        """Return the process of the composer or the performer."""
        deadline = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(self.process.pid).children():
                    if f"appliance.workers.{name}_process" in process.cmdline():
                        return process
            time.sleep(0.02)
        raise AssertionError(f"there is no {name}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait; return the exit code."""
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> int:
        """Wait until it ends by itself; return the exit code."""
        code = self.process.wait(_TIMEOUT_S * 2)
        self._reader.join(_TIMEOUT_S / 4)
        return code

    def counts(self) -> dict[str, int]:
        """Return the counts in the summary line."""
        summary = self.wait_for(r"^bachbox: played ")
        found = re.findall(r"(xruns|starved|late|composer|performer) (\d+)", summary)
        pieces = re.findall(r"(\d+) pieces", summary)
        return {name: int(number) for name, number in found} | {"pieces": int(pieces[0])}

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line.rstrip())
                self._news.notify_all()


@contextlib.contextmanager
def playing(
    *arguments: object, env: dict[str, str], through: Sequence[str] = ()
) -> Iterator[Playing]:
    """Run ``bachbox play``, by the command ``through``; what is left of it afterwards is killed."""
    process = subprocess.Popen(
        [*through, *BACHBOX, "play", *map(str, arguments)],
        env=env | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Playing(process)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
        process.kill()
        process.wait()
