"""What all measurements share: progress lines, child processes, quantiles, other programs' load."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import psutil

CHECKOUT: Final = Path(__file__).parent.parent
FIRST_NOTE: Final = "first note"
"""The line that a child prints when its first note is composed."""

BUSY_PERCENT: Final = 10.0
"""Above this share of all cores, other programs disturb what is measured."""

_quick = False


class FailedError(Exception):
    """A measurement did not work; the sentence says why."""


class UnavailableError(Exception):
    """A measurement cannot be made here; the sentence says why, and what would help."""


def be_quick() -> None:
    """Measure little of everything, to see that it works; the figures are rough."""
    global _quick
    _quick = True


def amount(full: float, quick: float) -> float:
    """How much of something to measure."""
    return quick if _quick else full


def count(full: int, quick: int) -> int:
    """How many of something to measure."""
    return quick if _quick else full


class Quantiles(NamedTuple):
    """Mean, median and 95th percentile of a list of measurements, in their unit."""

    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quantiles:
        """Those of at least two ``values``."""
        return cls(
            statistics.fmean(values),
            statistics.median(values),
            statistics.quantiles(values, n=20)[-1],
        )

    def __str__(self) -> str:
        return f"{three_digits(self.median)}, p95 {three_digits(self.p95)}"


def three_digits(value: float) -> str:
    """A number to three digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


class OtherLoad:
    """Measures how much of all cores other programs used, from its creation on."""

    def __init__(self) -> None:
        self._start = self._now()

    def percent(self) -> float:
        """The share that neither this process nor its descendants used.

        Time that the host of a virtual machine gave to others counts as used.
        """
        total, busy, own = (now - then for now, then in zip(self._now(), self._start, strict=True))
        return max(0.0, 100 * (busy - own) / total) if total else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Seconds of all cores, seconds in which they worked, seconds that were our own."""
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
        idle = ticks[3] + ticks[4]
        used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        own = sum(u.ru_utime + u.ru_stime for u in used)
        for child in psutil.Process().children(recursive=True):
            # What has ended meanwhile is among the children of its parent.
            with contextlib.suppress(psutil.NoSuchProcess):
                own += sum(child.cpu_times()[:4])
        return sum(ticks), sum(ticks) - idle, own


@contextlib.contextmanager
def step(sentence: str) -> Iterator[None]:
    """Print what is being measured, and then how long that took."""
    print(f"  {sentence} ", end="", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("... failed", file=sys.stderr, flush=True)
        raise
    print(f"... {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def wait(seconds: float) -> None:
    """Sleep, printing a dot every five seconds."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 5.0))
        print(".", end="", file=sys.stderr, flush=True)


class ChildResult(NamedTuple):
    """What a measuring child process printed."""

    first_note_s: float
    """From the start of the process to its first note."""
    figures: dict[str, Any]


def child(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> ChildResult:
    """Run a child that calls :func:`print_first_note` and :func:`print_figures`.

    Raises:
        FailedError: it ended otherwise; with the last line of its stderr.
    """
    start = time.monotonic()
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=CHECKOUT,
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first_line = process.stdout.readline().strip()
        first_note_s = time.monotonic() - start
        output, errors = process.stdout.read(), process.stderr.read()
    if process.returncode or first_line != FIRST_NOTE:
        last = (errors.strip().splitlines() or ["it printed nothing"])[-1]
        raise FailedError(
            f"`{' '.join(map(str, command[1:]))}` ended with {process.returncode}: {last}"
        )
    return ChildResult(first_note_s, json.loads(output))


def print_first_note() -> None:
    """In a child: the first note is composed."""
    print(FIRST_NOTE, flush=True)


def print_figures(figures: Mapping[str, Any]) -> None:
    """In a child: the results, and the largest memory it had."""
    # Not by getrusage: that begins with the parent's peak.
    status = Path("/proc/self/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    print(json.dumps({**figures, "rss_mb": peak_kib * 1024 / 1e6}))
