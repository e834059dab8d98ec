"""What all measurements share: steps that are told of, children that report, quantiles."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).parent.parent
FIRST_NOTE = "first note"
"""The line with which a child says that its first note is there."""


class FailedError(Exception):
    """A measurement did not work; the sentence says why."""


class UnavailableError(Exception):
    """A measurement cannot be made here; the sentence says why, and what would help."""


class Quantiles(NamedTuple):
    """Of a list of measurements, in their unit."""

    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Quantiles:
        """Those of ``values``."""
        return cls(
            statistics.fmean(values),
            statistics.median(values),
            statistics.quantiles(values, n=20)[-1],
        )

    def __str__(self) -> str:
        return f"{whole(self.median)}, p95 {whole(self.p95)}"


def whole(value: float) -> str:
    """A number to three digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


@contextlib.contextmanager
def step(sentence: str) -> Iterator[None]:
    """Say what is measured now, and how long it took."""
    print(f"  {sentence} ", end="", file=sys.stderr, flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("... failed", file=sys.stderr, flush=True)
        raise
    print(f"... {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def wait(seconds: float) -> None:
    """Sleep, a dot for every five seconds."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 5.0))
        print(".", end="", file=sys.stderr, flush=True)


class Told(NamedTuple):
    """What a measuring child told."""

    first_note_s: float
    """From the start of the process to its first note."""
    figures: dict[str, Any]


def child(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Told:
    """Run a child that calls :func:`tell_first_note` and :func:`tell`.

    Raises:
        FailedError: it ended otherwise; with its last words.
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
        last = (errors.strip().splitlines() or ["it said nothing"])[-1]
        raise FailedError(
            f"`{' '.join(map(str, command[1:]))}` ended with {process.returncode}: {last}"
        )
    return Told(first_note_s, json.loads(output))


def tell_first_note() -> None:
    """In a child: the first note is there."""
    print(FIRST_NOTE, flush=True)


def tell(figures: Mapping[str, Any]) -> None:
    """In a child: the results, and the memory at its largest."""
    # Not by getrusage: that begins with the parent's peak.
    status = Path("/proc/self/status").read_text()
    peak_kib = int(status.partition("VmHWM:")[2].split()[0])
    print(json.dumps({**figures, "rss_mb": peak_kib * 1024 / 1e6}))
