"""The whole box plays: on a card, through the death of its parts, and to a clean end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support import audio_analysis
from tests.support.command import Playing, bachbox, home, playing
from tests.support.virtual_card import VirtualCard, virtual_card

SEED = 1685
OTHER_SEED = 1750

ALIKE = 0.9
"""Correlation of two pictures of the same music; of other music in the same style: about 0.4."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return home(tmp_path)


@pytest.fixture
def card() -> Iterator[VirtualCard]:
    with virtual_card() as plugged_in:
        yield plugged_in


def rendered(
    folder: Path, env: dict[str, str], seed: int, seconds: float
) -> audio_analysis.Picture:
    """What the music of ``seed`` looks like without any card or clock."""
    path = folder / f"{seed}.wav"
    said = bachbox("render", path, "--seed", seed, "--seconds", seconds, env=env)
    assert said.code == 0, said.err
    return audio_analysis.picture(audio_analysis.wav(path))


@pytest.mark.timeout(600)
def test_a_minute_on_a_card_is_the_composers_music_without_a_gap(
    env: dict[str, str],
    card: VirtualCard,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = tmp_path / "recording.raw"
    xruns = []
    # A host that is busy with other things gets a second chance; both counts are told.
    for _ in range(2):
        with (
            card.recording(recording),
            playing("--seed", SEED, "--duration", 60, env=env | card.environment) as box,
        ):
            assert box.finish() == 0, box.lines
        counts = box.counts()
        xruns.append(counts["xruns"])
        if not counts["xruns"]:
            break
    with capsys.disabled():
        print(f"\n60 s on the virtual card: xruns {xruns}, {counts}")
    assert xruns[-1] == 0
    assert counts["starved"] == counts["late"] == counts["composer"] == counts["performer"] == 0

    heard = audio_analysis.picture(audio_analysis.raw(recording.read_bytes()))
    hops = 55 * audio_analysis.RATE // audio_analysis.HOP_FRAMES
    wanted = rendered(tmp_path, env, SEED, 62)[:hops]
    other = rendered(tmp_path, env, OTHER_SEED, 62)[:hops]
    alike, _ = audio_analysis.likeness(wanted, heard)
    unlike, _ = audio_analysis.likeness(other, heard)
    with capsys.disabled():
        print(f"likeness to the rendered music {alike:.3f}, to that of another seed {unlike:.3f}")
    assert alike > ALIKE
    assert unlike < ALIKE - 0.2


def test_the_death_of_a_child_is_survived_and_counted(
    env: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = tmp_path / "live.wav"
    with playing("--output", f"wav:{live}", "--seed", SEED, env=env) as box:
        box.wait_for("piece 1")
        for count, name in enumerate(("composer", "performer", "composer"), start=1):
            _more(live, 2.0)
            dead = box.child(name)
            dead.kill()
            box.wait_for("was ended by SIGKILL; another one starts", count)
            _more(live, 2.0)
            assert box.child(name).pid != dead.pid
        _more(live, 3.0)
        assert box.end() == 0
        counts = box.counts()
    with capsys.disabled():
        print(f"\nafter three kills: {counts}")
    assert (counts["composer"], counts["performer"]) == (2, 1)
    # The new composer goes on with the very music of the old one: not even a seam.
    sound = audio_analysis.wav(live)
    wanted = rendered(tmp_path, env, SEED, len(sound) / audio_analysis.RATE + 4)
    heard = audio_analysis.picture(audio_analysis.music(sound))
    window = 2 * audio_analysis.RATE // audio_analysis.HOP_FRAMES
    found = [
        audio_analysis.likeness(heard[start : start + window], wanted)
        for start in range(0, len(heard) - 2 * window, window)
    ]
    assert min(alike for alike, _ in found) > ALIKE
    assert [place for _, place in found] == sorted(place for _, place in found)


def test_a_child_that_hangs_is_replaced(env: dict[str, str], tmp_path: Path) -> None:
    live = tmp_path / "live.wav"
    with playing("--output", f"wav:{live}", env=env) as box:
        box.wait_for("piece 1")
        for name in ("composer", "performer"):
            box.child(name).suspend()
        for name in ("composer", "performer"):
            box.wait_for(f"the {name} hangs and is killed")
        box.wait_for("was ended by SIGKILL", 2)
        _more(live, 2.0)
        assert box.end() == 0
        assert box.counts()["composer"] == box.counts()["performer"] == 1


def test_a_card_that_comes_goes_and_comes_again(
    env: dict[str, str], card: VirtualCard, tmp_path: Path
) -> None:
    card.pull_out()
    with playing(env=env | card.environment) as box:
        box.wait_for("performer: .*card")
        card.plug_in()
        box.wait_for("performer: plays on default")
        box.wait_for("piece 1")
        card.pull_out()
        box.wait_for("performer: .*(gone|no sound card|cannot be opened)", 2)
        card.plug_in()
        box.wait_for("performer: plays on default", 2)
        recording = tmp_path / "again.raw"
        with card.recording(recording):
            time.sleep(4)
        assert (
            audio_analysis.silence_seconds(audio_analysis.raw(recording.read_bytes())[-96_000:])
            < 1.5
        )
        assert box.end() == 0
        assert box.counts()["composer"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_leaves_nobody_behind(env: dict[str, str], number: int) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        children = [box.child(name) for name in ("composer", "performer")]
        begun = time.monotonic()
        assert box.end(number) == 0
        print(f"stopped in {time.monotonic() - begun:.2f} s")
        assert not any(map(_lives, children))
        assert "Traceback" not in "".join(box.lines), box.lines


def test_a_killed_daemon_takes_its_children_along(env: dict[str, str]) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        children = [box.child(name) for name in ("composer", "performer")]
        box.end(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []


def test_the_daemon_holds_no_numpy_and_all_are_small(
    env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        daemon = psutil.Process(box.process.pid)
        assert not any("numpy" in mapped.path for mapped in daemon.memory_maps())
        sizes = [process.memory_info().rss / 1e6 for process in _family(box)]
        with capsys.disabled():
            print(f"\nMB of daemon, performer, composer: {[round(size) for size in sizes]}")
        assert sum(sizes) <= 160
        assert box.end() == 0


def _family(box: Playing) -> list[psutil.Process]:
    names = ("performer", "composer")
    return [psutil.Process(box.process.pid), *(box.child(name) for name in names)]


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _more(live: Path, seconds: float) -> None:
    """Wait until so much more has been played into the file."""
    size = live.stat().st_size if live.exists() else 0
    wanted = size + seconds * audio_analysis.RATE * 4
    deadline = time.monotonic() + 60
    while not live.exists() or live.stat().st_size < wanted:
        assert time.monotonic() < deadline, "the music has stopped"
        time.sleep(0.1)
