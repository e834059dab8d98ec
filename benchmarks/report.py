"""Rows, tables, the machine they hold for, and the page they are written to."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from subprocess import SubprocessError

from appliance.errors import BachboxError
from benchmarks.measure import BUSY_PERCENT, FailedError, OtherLoad, UnavailableError

PACKAGES = ("bachbox", "tflite-runtime", "ai-edge-litert", "numpy", "pyfluidsynth", "PyAudio")


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        bar: what it is held against, in words; empty where there is no bar.
        met: whether it is, ``None`` without a bar.
        how: what was measured, and how.
        load_matters: whether other programs' load excuses a bar that is missed.
    """

    what: str
    measured: str
    bar: str = ""
    met: bool | None = None
    how: str = ""
    load_matters: bool = True


@dataclass
class Section:
    """A part of the page: rows, tables, or the reason why there are none."""

    title: str
    note: str = ""
    rows: list[tuple[Row, float]] = field(default_factory=list)
    """With the percentage of all cores that other programs used meanwhile."""
    tables: list[str] = field(default_factory=list)
    """Lines of Markdown before the rows."""
    failures: list[str] = field(default_factory=list)
    """Why measurements did not work though they should have."""
    unavailable: list[str] = field(default_factory=list)
    """What cannot be measured here, and what would make it possible."""

    def measure(self, part: Callable[[], Iterable[Row]], what: str = "") -> None:
        """Add what ``part`` measures, or the sentence that says why it failed."""
        load = OtherLoad()
        try:
            rows = list(part())
        except UnavailableError as why:
            self._missing(self.unavailable, str(why))
        except (FailedError, BachboxError, OSError, RuntimeError, SubprocessError) as why:
            self._missing(self.failures, f"{what}: {why!s}" if what else str(why) or repr(why))
        else:
            self.rows += [(row, load.percent()) for row in rows]

    @staticmethod
    def _missing(sentences: list[str], sentence: str) -> None:
        if sentence not in sentences:
            sentences.append(sentence)
            print(f"  {sentence}", file=sys.stderr)

    def markdown(self) -> str:
        """The section as it stands on the page."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        if self.tables:
            lines += [*self.tables, ""]
        if self.rows:
            lines += table(
                ("", "measured", "bar", "", "other programs", "how"),
                (
                    (r.what, r.measured, r.bar, verdict(r, other), f"{other:.0f} %", r.how)
                    for r, other in self.rows
                ),
            )
            lines.append("")
        for failure in self.failures:
            lines += [f"**Failed:** {failure}", ""]
        for sentence in self.unavailable:
            lines += [f"Not measured here: {sentence}", ""]
        return "\n".join(lines)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def verdict(row: Row, other_percent: float) -> str:
    """Whether the bar is met; a bar that is missed on a busy machine is not judged."""
    if row.met is None:
        return ""
    if row.met:
        return "met"
    if row.load_matters and other_percent > BUSY_PERCENT:
        return "not judged: the machine was busy"
    return "**missed**"


def page(sections: Iterable[Section], load_before: float, model: Path, soundfont: Path) -> str:
    """The whole page."""
    sections = list(sections)
    verdicts = [
        (row.what, verdict(row, other))
        for section in sections
        for row, other in section.rows
        if row.met is not None
    ]
    met = sum(said == "met" for _, said in verdicts)
    missed = [what for what, said in verdicts if "missed" in said]
    unjudged = [what for what, said in verdicts if "busy" in said]
    summary = f"{met} of {len(verdicts)} bars met"
    summary += f"; missed: {', '.join(missed)}" if missed else ""
    summary += f"; not judged, because the machine was busy: {', '.join(unjudged)}" * bool(unjudged)
    head = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which measures everything on this page in one run; do not edit.",
        f"{summary}.",
        "",
        "The tests check *what* is played; how fast, how soon and how regularly it is played is "
        "measured here. *Other programs* is the share of all cores that other programs used "
        f"meanwhile: above {BUSY_PERCENT:g} % a bar that is missed is not judged.",
        "",
        *table(("the machine", ""), machine(load_before, model, soundfont)),
        "",
    ]
    return "\n".join([*head, *(section.markdown() for section in sections)]).rstrip() + "\n"


def machine(load_before: float, model: Path, soundfont: Path) -> list[tuple[str, str]]:
    """The machine that the figures hold for."""
    return [
        ("processor", _processor()),
        ("cores to run on", str(len(os.sched_getaffinity(0)))),
        ("memory", f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"),
        (
            "system",
            f"{_distribution()}, Linux {platform.release().partition('-')[0]} on "
            f"{platform.machine()}",
        ),
        ("Python", platform.python_version()),
        ("packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)),
        ("model", _file(model)),
        ("soundfont", _file(soundfont)),
        ("load average before and after", f"{load_before:.2f}, {os.getloadavg()[0]:.2f}"),
        ("date", datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("command", " ".join(["python -m benchmarks", *sys.argv[1:]])),
    ]


def version(package: str) -> str:
    """The installed version of a distribution."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _file(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return f"{path.name}, {path.stat().st_size / 1e6:.1f} MB, SHA-256 {digest[:12]}…"


def _processor() -> str:
    """Name, family and model by the kernel; ARM kernels name the board instead."""
    text = Path("/proc/cpuinfo").read_text()
    facts = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", text, re.MULTILINE))
    name = facts.get("model name") or facts.get("Model") or platform.processor() or "unknown"
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts['model']})"
    return name + (", a virtual machine" if "hypervisor" in facts.get("flags", "") else "")


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown distribution"
