"""The update in place goes back by itself; whenever the plug is pulled, the next start plays.

A small package stands for Bachbox; "it plays" is that all its files are of one version. The script
runs on a copy-on-write view of this machine's files, with dpkg lists of its own. With the real
package, on a booted Debian: ``tests/systemd/run.sh update``.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = subprocess.run(
    ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
).stdout.strip()
FILES = 120
PULLS = 6

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may install packages")

BACHBOX = """#!/bin/sh
# Plays if everything is of one version.
cd /usr/lib/bachbox/share
[ "$(cat part-* version | sort -u)" = "$(cat version)" ] && ! grep -q broken version
"""


def _lives(group: int) -> bool:
    """Whether a process of this group has still open files, and so the lock."""
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


class Machine:
    """A Debian with the script and the small package; ``root`` are its files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._inside(*command), capture_output=True, text=True, check=False)

    def pull_the_plug(self, after_s: float, *command: str) -> None:
        """Start a command, and kill all that it has started after so long."""
        process = subprocess.Popen(
            self._inside(*command), start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(after_s)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while _lives(process.pid):
            time.sleep(0.01)

    def update(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("sh", "/usr/sbin/bachbox-update", *arguments)

    @property
    def version(self) -> str:
        """The installed version, which plays and is whole."""
        assert self.run("bachbox", "models").returncode == 0
        assert self.run("dpkg", "--audit").stdout == ""
        said = self.run("dpkg-query", "--show", "--showformat=${Version} ${Status}", "bachbox")
        version, _, status = said.stdout.partition(" ")
        assert status == "install ok installed"
        assert (self.root / "usr/lib/bachbox/share/version").read_text().strip() == version
        assert (self.root / f"usr/lib/bachbox/share/only-{version}").exists()
        assert not (self.root / "var/lib/bachbox-update/pending").exists()
        return version

    def package(self, version: str) -> str:
        """Make a package of this version; its path in the machine."""
        folder = self.root / f"root/{version}"
        share = folder / "usr/lib/bachbox/share/bachbox"
        for name in (share, folder / "DEBIAN", folder / "etc/bachbox", folder / "usr/bin"):
            name.mkdir(parents=True)
        (folder / "DEBIAN/control").write_text(
            f"Package: bachbox\nVersion: {version}\nArchitecture: {ARCHITECTURE}\n"
            "Maintainer: B <b@b.example>\nDescription: endless music\n in a small package\n"
        )
        (folder / "DEBIAN/conffiles").write_text("/etc/bachbox/bachbox.toml\n")
        for path in (share / "bachbox.example.toml", folder / "etc/bachbox/bachbox.toml"):
            path.write_text("volume = 70\n")
        for part in ("version", f"only-{version}", *(f"part-{n}" for n in range(FILES))):
            (share.parent / part).write_text(f"{version}\n")
        (folder / "usr/bin/bachbox").write_text(BACHBOX)
        (folder / "usr/bin/bachbox").chmod(0o755)
        self.run("dpkg-deb", "-Znone", "-b", f"/root/{version}", f"/root/{version}.deb")
        return f"/root/{version}.deb"

    def _inside(self, *command: str) -> list[str]:
        return [
            "env",
            "-i",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "chroot",
            str(self.root),
            *command,
        ]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    memory = tmp_path_factory.mktemp("machine") / "memory"
    root = memory / "root"
    memory.mkdir()
    mounts = [memory]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256M", "bachbox-test", memory], check=True)
    try:
        for name in ("root", "upper", "work"):
            (memory / name).mkdir()
        layers = f"lowerdir=/,upperdir={memory}/upper,workdir={memory}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", layers, "bachbox-test", root], check=True)
        mounts.append(root)
        lists = root / "var/lib/dpkg"
        subprocess.run(["mount", "-t", "tmpfs", "bachbox-test", lists], check=True)
        mounts.append(lists)
        for name in ("info", "updates", "triggers", "alternatives", "parts"):
            (lists / name).mkdir()
        (lists / "status").touch()
        made = Machine(root)
        (root / "usr/sbin/bachbox-update").write_bytes(
            (ROOT / "deploy/update/bachbox-update").read_bytes()
        )
        yield made
    finally:
        for mount in reversed(mounts):
            subprocess.run(["umount", "--lazy", mount], check=True)


CONFIG = "etc/bachbox/bachbox.toml"


@pytest.fixture(scope="module")
def updated(machine: Machine) -> Machine:
    """Version 2, updated from version 1, with an edited config."""
    first, second = machine.package("1"), machine.package("2")
    assert machine.run("dpkg", "-i", first).returncode == 0
    (machine.root / CONFIG).write_text("volume = 33\n")
    said = machine.update(second)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "2 plays; bachbox-update --back goes back" in said.stdout
    return machine


def test_there_and_back_again_with_the_config_as_it_was_edited(updated: Machine) -> None:
    assert updated.version == "2"
    for version in ("1", "2"):
        said = updated.update("--back")
        assert said.returncode == 0, said.stdout + said.stderr
        assert updated.version == version
        assert (updated.root / CONFIG).read_text() == "volume = 33\n"
    # An update by apt still knows that the config was edited.
    assert updated.run("dpkg", "--force-confdef", "-i", "/root/1.deb").returncode == 0
    assert (updated.root / CONFIG).read_text() == "volume = 33\n"
    assert not list((updated.root / "var/lib/bachbox-update").glob("*.part"))


def test_a_version_that_does_not_play_is_taken_back(updated: Machine) -> None:
    assert updated.version == "1"
    assert updated.update("/root/2.deb").returncode == 0
    said = updated.update(updated.package("3broken"))
    assert said.returncode == 1
    assert "the new version does not play" in said.stdout
    assert updated.version == "2"
    assert (updated.root / CONFIG).read_text() == "volume = 33\n"
    # The way back is still that to the version before.
    assert updated.update("--back").returncode == 0
    assert updated.version == "1"
    assert not (updated.root / "var/lib/bachbox-update/earlier.deb").exists()


def test_wrong_files_are_refused_in_a_sentence(updated: Machine) -> None:
    before = updated.version
    (updated.root / "root/empty.deb").touch()
    whole = (updated.root / "root/1.deb").read_bytes()
    (updated.root / "root/half.deb").write_bytes(whole[: len(whole) // 2])
    for file, sentence in (
        ("/root/none.deb", "there is no file"),
        ("/root/empty.deb", "not a Debian package of Bachbox"),
        ("/root/half.deb", "damaged; copy it again"),
        ("--forth", "there is no --forth"),
    ):
        said = updated.update(file)
        assert said.returncode == 2
        assert sentence in said.stderr
        assert said.stderr.count("\n") == 1
    assert updated.version == before


def test_the_plug_is_pulled_at_any_moment_and_it_plays_after_the_next_start(
    updated: Machine,
) -> None:
    dice, other = random.Random(1685), {"1": "/root/2.deb", "2": "/root/1.deb"}
    began = time.monotonic()
    assert updated.update(other[updated.version]).returncode == 0
    takes_s = time.monotonic() - began
    for _ in range(PULLS):
        before = updated.version
        updated.pull_the_plug(
            dice.uniform(0, takes_s), "sh", "/usr/sbin/bachbox-update", other[before]
        )
        # What bachbox-update.service does at the start.
        said = updated.update("--recover")
        assert said.returncode == 0, said.stdout + said.stderr
        assert updated.version in ("1", "2")
        assert (updated.root / CONFIG).read_text() == "volume = 33\n"
