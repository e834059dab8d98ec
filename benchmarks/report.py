"""Rows, tables, the machine they hold for, and the page they are written to."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

PACKAGES = ("bachbox", "tflite-runtime", "ai-edge-litert", "numpy", "pyfluidsynth", "PyAudio")


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        bar: what it is held against, in words; empty where there is no bar.
        met: whether it is, ``None`` without a bar.
    """

    what: str
    measured: str
    bar: str = ""
    met: bool | None = None
    how: str = ""


@dataclass
class Section:
    """A table, or the reason why there is none."""

    title: str
    rows: list[Row] = field(default_factory=list)
    note: str = ""
    failure: str = ""
    """Why a measurement did not work though it should have."""
    unavailable: str = ""
    """Why it cannot be made here, and what would make it possible."""

    busy_percent: float | None = None
    """How busy all cores were meanwhile, with the measurement's own work."""

    def markdown(self) -> str:
        """The section as it stands on the page."""
        lines = [f"## {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        if self.rows:
            lines += table(
                ("", "measured", "bar", "", "how"),
                ((r.what, r.measured, r.bar, _verdict(r.met), r.how) for r in self.rows),
            )
            lines.append("")
        if self.busy_percent is not None:
            lines += [f"Meanwhile the cores were {self.busy_percent:.0f} % busy, all told.", ""]
        if self.failure:
            lines += [f"**Failed:** {self.failure}", ""]
        if self.unavailable:
            lines += [f"Not measured here: {self.unavailable}", ""]
        return "\n".join(lines)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *(list(row) for row in rows)]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def _verdict(met: bool | None) -> str:
    return {None: "", True: "met", False: "**missed**"}[met]


def page(sections: Iterable[Section], load_before: float, model: Path, soundfont: Path) -> str:
    """The whole page."""
    sections = list(sections)
    judged = [row for section in sections for row in section.rows if row.met is not None]
    missed = [row.what for row in judged if not row.met]
    verdict = f"{len(judged) - len(missed)} of {len(judged)} bars met"
    head = [
        "# Benchmarks",
        "",
        "Written by `make bench`, which measures everything on this page in one run; do not edit.",
        f"{verdict}{'; missed: ' + ', '.join(missed) if missed else ''}.",
        "",
        *table(("the machine", ""), machine(load_before, model, soundfont)),
        "",
    ]
    return "\n".join([*head, *(section.markdown() for section in sections)]).rstrip() + "\n"


def machine(load_before: float, model: Path, soundfont: Path) -> list[tuple[str, str]]:
    """What the figures hold for."""
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
        ("load average before", f"{load_before:.2f}"),
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
    """Name, family and model as the kernel tells them; ARM kernels name the board instead."""
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
