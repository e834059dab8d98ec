"""What every proof on a machine needs: a disk with Bachbox on it, and a line for each finding."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.machine.machine import Machine

ROOT: Final = Path(__file__).parent.parent.parent
BUILD: Final = ROOT / "build" / "machine"

PLAYS: Final = (
    "systemctl is-active -q bachbox && systemctl show -p StatusText bachbox | grep Playing"
)

_began = time.monotonic()


def say(sentence: str) -> None:
    print(f"{time.monotonic() - _began:6.0f} s  {sentence}", flush=True)


def older(made: Path) -> bool:
    """Whether it is not there, or any source has changed since."""
    listed = subprocess.run(
        [
            "git",
            "ls-files",
            "-z",
            "appliance",
            "deploy",
            "models",
            "systemd",
            "pyproject.toml",
            ":!*.md",
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    sources = [ROOT / name for name in listed.split("\0") if name]
    return not made.exists() or made.stat().st_mtime < max(s.stat().st_mtime for s in sources)


def make(what: str, architecture: str, *command: str | Path) -> None:
    """Run a script that installs the package: ``$PACKAGE``, or one of these sources."""
    if "PACKAGE" in os.environ:
        say(f"{what} is made")
        subprocess.run(command, check=True)
        return
    built = sorted((ROOT / "build/deb").glob(f"bachbox_*+deb13_{architecture}.deb"))
    if not built or older(built[-1]):
        say(f"the package for {architecture} is built")
        said = subprocess.run(
            [ROOT / "deploy/deb.sh", "trixie", architecture],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        built = [Path(said.stdout.strip())]
    say(f"{what} is made")
    subprocess.run(command, check=True, env=os.environ | {"PACKAGE": str(built[-1])})


@contextlib.contextmanager
def machine(kind: str, *with_: str) -> Iterator[Machine]:
    """With a disk as after the installation, and off at the end whatever happens."""
    folder = BUILD / "-".join((kind, *with_))
    fresh = folder / "fresh.img"
    if not fresh.exists() if "PACKAGE" in os.environ else older(fresh):
        make(f"a disk for {kind}", kind, ROOT / "tests/machine/disk.sh", kind, folder, *with_)
    subprocess.run(["cp", "--sparse=always", fresh, folder / "disk.img"], check=True)
    box = Machine(kind, folder)
    try:
        yield box
    finally:
        box.pull_the_plug()
