"""What may happen to a box in a house: each is done to one that plays, and listened to."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.state.store import FILE_NAME
from tests.support.command import playing
from tests.support.running_box import ask, eventually, running_box
from tests.support.virtual_card import VirtualCard

ROOT = os.geteuid() == 0

STRESS_S = 6


def kept(file: Path) -> dict[str, object]:
    """The settings that are on the disk."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(file.read_text()))
    return {}


class SmallDisk:
    """A disk of its own for the state, in the box's view of the files only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        mount = f'mount -t tmpfs -o size=64k tmpfs "{folder}" && exec "$@"'
        self._user = [] if ROOT else ["--map-root-user"]
        self.through = ("unshare", "--mount", *self._user, "sh", "-c", mount, "sh")

    def seen_by(self, pid: int) -> Path:
        """Where the test finds it."""
        return Path(f"/proc/{pid}/root{self.folder}")

    def remount(self, pid: int, options: str) -> None:
        enter = ["nsenter", f"--target={pid}", "--mount"]
        enter += [] if ROOT else ["--user", "--preserve-credentials"]
        how = ["mount", "-o", f"remount,{options}", str(self.folder)]
        subprocess.run([*enter, *how], check=True)


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_disk_that_takes_nothing_more_costs_no_music_and_is_used_again(
    card: VirtualCard, tmp_path: Path, fault: str
) -> None:
    disk = SmallDisk(tmp_path / "state")
    with running_box(card, tmp_path, through=disk.through) as work:
        pid = work.box.process.pid
        file = disk.seen_by(pid) / "bachbox" / FILE_NAME
        ask(tempo=90)
        eventually(lambda: kept(file) == {"tempo": 90})
        filler = disk.seen_by(pid) / "filler"
        if fault == "full":
            with filler.open("wb", buffering=0) as filling, contextlib.suppress(OSError):
                while True:
                    filling.write(bytes(512))
        else:
            disk.remount(pid, "ro")
        with work.uninterrupted():
            for tempo in (100, 101, 102):
                ask(tempo=tempo)
                time.sleep(1.1)
            work.box.wait_for("cannot be stored")
        said = [line for line in work.box.lines if "cannot be stored" in line]
        assert len(said) == 1, said
        assert ("No space left" if fault == "full" else "Read-only") in said[0]
        # What was there is still whole, and the box continues with what was set.
        assert kept(file) == {"tempo": 90}
        assert ask().settings.tempo == 102
        if fault == "full":
            filler.unlink()
        else:
            disk.remount(pid, "rw")
        # Without another turn of a knob, too.
        eventually(lambda: kept(file) == {"tempo": 102})
        assert work.box.end() == 0


def test_a_box_starts_on_a_disk_that_is_read_only_and_plays(
    card: VirtualCard, tmp_path: Path
) -> None:
    disk = SmallDisk(tmp_path / "state")
    *before, mount, name = disk.through
    through = [*before, mount.replace("-o ", "-o ro,"), name]
    with running_box(card, tmp_path, through=through) as work:
        work.box.wait_for("settings file: .*settings cannot be stored here .Read-only file system.")
        assert ask(tempo=90).settings.tempo == 90
        work.hears_music()
        assert work.box.end() == 0


def test_a_clock_that_jumps_by_years_does_not_stop_the_music(
    card: VirtualCard, tmp_path: Path
) -> None:
    """A Pi has no clock of its own: it starts in the past, and the network sets it."""
    library, clock = tmp_path / "jumping_clock.so", tmp_path / "clock"
    source = Path(__file__).with_name("jumping_clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)

    def set_clock(years: int) -> None:
        # Whole, whenever somebody looks.
        (tmp_path / "new").write_text(str(years * 31_556_952))
        (tmp_path / "new").replace(clock)

    set_clock(-30)
    env = {"LD_PRELOAD": str(library), "JUMPING_CLOCK": str(clock)}
    shown = [sys.executable, "-c", "import time; print(time.gmtime().tm_year)"]
    years = [subprocess.check_output(shown, env=os.environ | e) for e in ({}, env)]
    assert int(years[0]) - int(years[1]) == 30
    with running_box(card, tmp_path, env=env) as work:
        file = Path(work.environment["XDG_STATE_HOME"]) / "bachbox" / FILE_NAME
        with work.uninterrupted():
            for tempo, jump in ((90, 0), (91, 40), (92, -30)):
                set_clock(jump)
                ask(tempo=tempo)
                eventually(lambda tempo=tempo: kept(file) == {"tempo": tempo})  # type: ignore[misc]
                time.sleep(1.0)
            with work.replaced("composer"):
                work.box.child("composer").kill()
            set_clock(40)
            eventually(lambda: work.health().look_ahead_s > 3.5)
        with work.replaced("performer"):
            work.box.child("performer").kill()
        eventually(lambda: ask().now_playing.condition == "playing")
        work.hears_music()
        assert work.health().uptime_s < 86_400, "by no clock that is set"
        assert work.box.end() == 0
        assert work.box.counts()["composer"] == work.box.counts()["performer"] == 1


@contextlib.contextmanager
def stress(*arguments: object, through: tuple[str, ...] = ()) -> Iterator[None]:
    """``stress-ng`` at work meanwhile."""
    process = subprocess.Popen(
        [*through, "stress-ng", "--quiet", *map(str, arguments)], process_group=0
    )
    try:
        # Its workers have to be started and at full speed.
        time.sleep(1.0)
        assert process.poll() is None
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def test_all_cores_are_busy_and_the_music_goes_on(card: VirtualCard, tmp_path: Path) -> None:
    all_cores = ("--cpu", os.cpu_count() or 1, "--cpu-load", 100)
    with running_box(card, tmp_path) as work, work.uninterrupted(), stress(*all_cores):
        time.sleep(STRESS_S)
        # It obeys, too.
        rewinds = work.health().rewinds
        ask(temperature=1.3)
        eventually(lambda: work.health().rewinds > rewinds)


class Cage:
    """A group of processes with little memory (control groups, version 1 or 2; root only)."""

    def __init__(self, mib: int) -> None:
        first = Path("/sys/fs/cgroup/memory")
        parent = first if first.is_dir() else Path("/sys/fs/cgroup")
        self._folder = parent / f"bachbox-test-{os.getpid()}"
        self._folder.mkdir()
        if parent is not first:
            with contextlib.suppress(OSError):
                (parent / "cgroup.subtree_control").write_text("+memory")
        limit = "memory.limit_in_bytes" if parent is first else "memory.max"
        (self._folder / limit).write_text(str(mib << 20))
        enter = f'echo $$ >"{self._folder}/cgroup.procs" && exec "$@"'
        self.through = ("sh", "-c", enter, "sh")

    def remove(self) -> None:
        eventually(lambda: not (self._folder / "cgroup.procs").read_text())
        self._folder.rmdir()


@pytest.fixture
def cage() -> Iterator[tuple[str, ...]]:
    """What starts a command where there are 256 MiB; without root just where it is."""
    if not ROOT:
        yield ()
        return
    made = Cage(256)
    yield made.through
    made.remove()


def test_memory_gets_short_and_the_music_goes_on(
    card: VirtualCard, tmp_path: Path, cage: tuple[str, ...]
) -> None:
    with running_box(card, tmp_path, through=cage) as work:
        performer = work.box.child("performer")
        # More than there is: the kernel takes back what it can, and kills for the rest.
        with stress("--vm", 2, "--vm-bytes", "300m", "--vm-keep", through=cage):
            work.listen(STRESS_S)
            work.hears_music()
        eventually(lambda: work.health().look_ahead_s > 3)
        work.hears_music()
        assert performer.is_running()
        if ROOT:
            locked = re.search(r"VmLck:\s+(\d+)", Path(f"/proc/{performer.pid}/status").read_text())
            assert locked is not None
            assert int(locked[1]) > 0
        assert work.box.end() == 0


def test_a_second_box_plays_too_and_leaves_the_first_alone(
    card: VirtualCard, tmp_path: Path
) -> None:
    with running_box(card, tmp_path) as work, work.uninterrupted():
        with playing("--seed", 8, env=work.environment) as second:
            second.wait_for("another Bachbox listens at")
            second.wait_for("another Bachbox keeps its settings in")
            second.wait_for("piece 1")
            assert ask(tempo=99).settings.tempo == 99
            assert second.end() == 0
        assert ask().settings.tempo == 99


OLDER = {"tempo": 88, "transpose": 2, "instrument": "Flute", "temperature": 9, "volume": "loud"}
"""Of a version that knew other settings, other names and other limits."""


@pytest.mark.parametrize(
    ("content", "said", "tempo"),
    [
        (json.dumps(OLDER), ["transpose", "temperature", "volume"], 88),
        ("\0" * 4096, ["not a settings file"], 80),
    ],
    ids=["older", "zeros"],
)
def test_a_state_file_of_another_version_or_none_is_told_of_and_it_plays(
    card: VirtualCard, tmp_path: Path, content: str, said: list[str], tempo: int
) -> None:
    file = tmp_path / "state" / "bachbox" / FILE_NAME
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with running_box(card, tmp_path) as work:
        for part in said:
            work.box.wait_for(part)
        assert ask().settings.tempo == tempo
        if tempo == 88:
            assert ask().settings.instrument == "Flute"
        # And from now on it is this version's.
        ask(volume=61)
        eventually(lambda: kept(file).get("volume") == 61)
        assert set(kept(file)) <= {"tempo", "instrument", "volume"}
        work.hears_music()
        assert work.box.end() == 0


def test_a_hangup_ends_it_as_ctrl_c_does(card: VirtualCard, tmp_path: Path) -> None:
    with running_box(card, tmp_path) as work:
        ask(tempo=77)
        assert work.box.end(signal.SIGHUP) == 0
        # What was played before is still on its way through the card.
        eventually(lambda: abs(work.sound(0.2).astype(int)).max() < 20)
    assert kept(tmp_path / "state" / "bachbox" / FILE_NAME) == {"tempo": 77}
