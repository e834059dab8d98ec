"""A child that dies or hangs is replaced, and little of that is heard."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.daemon import supervisor
from appliance.daemon.supervisor import Child, ChildSpec
from appliance.ipc.shared_state import EXIT_NO_CARD
from tests.support import audio_analysis
from tests.support.audio_analysis import HOP_FRAMES, RATE
from tests.support.command import home, playing
from tests.support.leak import COUNT
from tests.support.log_lines import log_lines
from tests.support.making_music import MODEL, altered
from tests.support.running_box import (
    LOOK_AHEAD_S,
    MORE_AHEAD,
    RunningBox,
    ask,
    eventually,
    hanging,
    hear_music,
    places,
    running_box,
)
from tests.support.virtual_card import VirtualCard, virtual_card

LOGGER = logging.getLogger("appliance.test")


def _sound(work: RunningBox) -> NDArray[np.int16]:
    """All that was heard, without pauses and what a busy machine left out."""
    return audio_analysis.without_gaps(audio_analysis.music(work.recorded()))


def test_a_composers_death_changes_nothing_of_the_music(card: VirtualCard, tmp_path: Path) -> None:
    with running_box(card, tmp_path) as work:
        for number in (signal.SIGKILL, signal.SIGSTOP):
            with work.uninterrupted():
                with work.replaced("composer"):
                    work.box.child("composer").send_signal(number)
                eventually(lambda: work.health().look_ahead_s > LOOK_AHEAD_S)
        with work.uninterrupted():
            with work.replaced("composer"), hanging(work.box.child("composer").pid):
                work.box.wait_for("the composer hangs and is killed")
            eventually(lambda: work.health().look_ahead_s > LOOK_AHEAD_S)
        heard = audio_analysis.picture(_sound(work))
        places(heard, work.composed(tmp_path, len(heard) * HOP_FRAMES / RATE + 4))
        assert work.box.end() == 0
        assert work.box.counts()["composer"] == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_after_a_performers_death_the_music_goes_on_where_it_was(
    card: VirtualCard, tmp_path: Path, number: int
) -> None:
    """How long the silence is depends on the machine: `make bench` measures it."""
    with running_box(card, tmp_path) as work:
        eventually(lambda: len(_sound(work)) > 8 * RATE)
        before = _sound(work)
        with work.replaced("performer"):
            work.box.child("performer").send_signal(number)
        eventually(lambda: ask().now_playing.condition == "playing")
        work.listen(6.0)
        sound = _sound(work)
        assert work.box.end() == 0
        assert work.box.counts()["composer"] == 0
        composed = work.composed(tmp_path, len(sound) / RATE + 4)
    *_, last = places(audio_analysis.picture(before), composed)
    # The first seconds after the silence are cut off: the chord is struck again there.
    after = sound[-4 * RATE :]
    first, *_ = places(audio_analysis.picture(after), composed)
    heard_hops = (len(sound) - len(after)) / HOP_FRAMES
    # Nothing was left out and nothing was played twice, but for what was on its way to the card.
    assert last < first
    assert abs(heard_hops - first) * HOP_FRAMES / RATE < 1.0, (heard_hops, first)


def test_leaking_child_is_replaced() -> None:
    """The child grows by 20 MB between two looks at it, starting from 20 MB."""
    shared_fd = os.memfd_create("leak")
    os.truncate(shared_fd, 2 * COUNT.size)

    def heartbeat() -> int:
        (beats,) = COUNT.unpack(os.pread(shared_fd, COUNT.size, 0))
        # One step more is allowed.
        os.pwrite(shared_fd, COUNT.pack(beats + 1), COUNT.size)
        return int(beats)

    child = Child(
        ChildSpec(
            name="leak",
            arguments=lambda: ["tests.support.leak", str(shared_fd)],
            shared_fd=shared_fd,
            heartbeat=heartbeat,
            logger=LOGGER,
        )
    )

    async def run() -> None:
        task = asyncio.create_task(child.run())
        while child.restarts < 2:
            await asyncio.sleep(0.05)
        await child.stop(1.0)
        await task

    with log_lines() as lines:
        asyncio.run(asyncio.wait_for(run(), 120))
    os.close(shared_fd)
    grown = [line for line in lines if "has grown to" in line]
    assert len(grown) == 2
    assert all(64 < int(line.split()[5]) < 200 for line in grown), grown


@pytest.mark.parametrize(
    ("does", "lives"),
    [("while True: pass", True), ("import time; time.sleep(3600)", False)],
)
def test_start_may_be_slow_but_not_idle(
    does: str, lives: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that computes has longer; one that does nothing has four seconds."""
    within_s = 10 if lives else 60
    killed = is_killed_as_hanging(does, within_s, lambda _: None, tmp_path, monkeypatch)
    assert killed != lives


def test_child_that_others_keep_from_running_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process has the only core that the child may use, and the child only what is left."""
    core = {min(os.sched_getaffinity(0))}
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])

    def last_in_the_queue(pid: int) -> None:
        os.sched_setaffinity(pid, core)
        os.setpriority(os.PRIO_PROCESS, pid, 19)

    try:
        os.sched_setaffinity(other.pid, core)
        does = "while True: pass"
        assert not is_killed_as_hanging(does, 10, last_in_the_queue, tmp_path, monkeypatch)
    finally:
        other.kill()
        other.wait()


def child_that(
    does: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **spec: Callable[..., Any]
) -> Child:
    """A child that runs this text, and has no heartbeat."""
    (tmp_path / "worker.py").write_text(does)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Child(
        ChildSpec(
            name="worker",
            arguments=lambda: ["worker"],
            shared_fd=os.open(os.devnull, os.O_RDONLY),
            heartbeat=lambda: 0,
            logger=LOGGER,
            **spec,
        )
    )


def is_killed_as_hanging(
    does: str,
    within_s: float,
    set_priority: Callable[[int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> bool:
    """Whether a child that does this is, if it has four seconds for its first heartbeat."""
    monkeypatch.setattr(supervisor, "START_TIMEOUT_S", 4.0)
    child = child_that(does, tmp_path, monkeypatch, set_priority=set_priority)
    hangs = "the worker hangs and is killed"

    async def run(lines: list[str]) -> bool:
        task = asyncio.create_task(child.run())
        deadline = asyncio.get_running_loop().time() + within_s
        while hangs not in lines and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        killed = hangs in lines
        await child.stop(1.0)
        await task
        return killed

    with log_lines() as lines:
        return asyncio.run(run(lines))


def test_a_box_that_looks_for_a_card_for_weeks_outlives_crashes_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drivers crash when cards come and go; three crashes in a row are given up, others are not."""
    starts = tmp_path / "starts"
    does = (
        "import os, signal, sys, time\n"
        f"with open({str(starts)!r}, 'a+') as file:\n"
        "    file.write('+')\n"
        "    number = file.tell()\n"
        "if number in (3, 6):\n"
        f"    sys.exit({EXIT_NO_CARD})\n"
        "if number == 8:\n"
        "    time.sleep(600)\n"
        "os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    child = child_that(does, tmp_path, monkeypatch, on_missing_card=lambda: True)

    async def run() -> None:
        task = asyncio.create_task(child.run())
        while not task.done() and (not starts.exists() or len(starts.read_text()) < 8):
            await asyncio.sleep(0.05)
        await child.stop(1.0)
        await task

    asyncio.run(run())
    assert child.restarts == 5


def test_start_timeout_of_an_endless_loop_is_bounded() -> None:
    assert supervisor.start_timeout_s(0.03) < 31
    assert supervisor.start_timeout_s(1000) == supervisor.START_TIMEOUT_MAX_S


def test_unloaded_card_is_waited_for_and_used_again(card: VirtualCard, tmp_path: Path) -> None:
    def pactl(*arguments: str) -> str:
        done = subprocess.run(
            ["pactl", *arguments],
            env=card.environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    with virtual_card() as card, running_box(card, tmp_path) as work:
        sinks = [line for line in pactl("list", "short", "modules").splitlines() if "sink" in line]
        number, _, arguments, *_ = sinks[0].split("\t")
        pactl("unload-module", number)
        eventually(lambda: ask().now_playing.condition == "no_sound_card")
        # It can still be operated.
        assert ask(tempo=101).settings.tempo == 101
        pactl("load-module", "module-null-sink", *arguments.split())
        eventually(lambda: ask().now_playing.condition == "playing")
        again = tmp_path / "again.raw"
        with card.recording(again):
            hear_music(again)
        assert work.box.end() == 0
        assert work.box.counts()["composer"] == 0


def test_another_card_is_chosen_when_the_default_one_is_gone(tmp_path: Path) -> None:
    with virtual_card() as first, virtual_card() as second:
        asoundrc = tmp_path / "asound.conf"
        asoundrc.write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f'pcm.!default {{ type pulse server "unix:{first.folder}/native" }}\n'
            f'pcm.second {{ type pulse server "unix:{second.folder}/native" }}\n'
        )
        env = first.environment | {"ALSA_CONFIG_PATH": str(asoundrc)}
        with running_box(first, tmp_path, env=env) as work:
            first.pull_out()
            work.box.wait_for("performer: .*(gone|cannot be opened)")
            eventually(lambda: ask().now_playing.condition == "playing")
            again = tmp_path / "again.raw"
            with second.recording(again):
                hear_music(again)
            assert work.box.end() == 0


def test_box_without_a_card_can_be_operated_and_plays_when_one_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {name: value for name, value in home(tmp_path).items() if name.startswith("XDG_")}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    with virtual_card() as card:
        card.pull_out()
        with playing(env=card.environment | own) as box:
            box.wait_for("performer: .*card")
            status = ask(tempo=66, volume=90)
            assert status.now_playing.condition == "no_sound_card"
            assert (status.settings.tempo, status.settings.volume) == (66, 90)
            card.plug_in()
            eventually(lambda: ask().now_playing.condition == "playing")
            assert ask().settings.tempo == 66
            recording = tmp_path / "heard.raw"
            with card.recording(recording):
                hear_music(recording)
            assert box.end() == 0


def test_model_damaged_while_playing_is_replaced_by_another(
    card: VirtualCard, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(MODEL, folder / "mine.tflite")
    altered(folder / "spare.tflite", lambda about: about.update(title="Spare"))
    config = tmp_path / "bachbox.toml"
    config.write_text(f'[music]\nmodels_folder = "{folder}"\nmodel = "mine"\n{MORE_AHEAD}\n')
    with running_box(card, tmp_path, "--config", config) as work:
        with work.uninterrupted():
            with (folder / "mine.tflite").open("r+b") as file:
                file.seek(100_000)
                file.write(b"\xff" * 10_000)
            work.box.child("composer").kill()
            work.box.wait_for("bachbox: mine does not compose, so .* takes over")
            eventually(lambda: work.health().look_ahead_s > 3)
        assert ask().settings.model != "mine"
        assert work.box.end() == 0
    # The next start uses another model, and the log says why.
    with playing("--config", config, "--output", "null", env=work.environment) as box:
        box.wait_for(r"mine.tflite: damaged: .*; \w+ plays instead")
        box.wait_for("piece 1")
        assert box.end() == 0


def test_early_ctrl_c_shows_no_traceback(tmp_path: Path) -> None:
    # It prints a line as soon as the first import that takes time begins.
    script = (
        "import sys; from appliance.__main__ import main\n"
        "def hook(event, args):\n"
        "    if event == 'import' and args[0] == 'appliance.cli': print(flush=True)\n"
        "sys.addaudithook(hook); sys.argv[1:] = ['play', '--output', 'null']; main()"
    )
    for delay_seconds in (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8):
        process = subprocess.Popen(
            [sys.executable, "-c", script],
            env=home(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(delay_seconds)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        assert "Traceback" not in said
        assert process.returncode in (0, -signal.SIGINT, 130)
