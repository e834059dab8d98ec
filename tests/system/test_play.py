"""The whole box plays: on a card, through the death of its parts, and to a clean end."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.support import audio_analysis
from tests.support.command import Playing, bachbox, home, playing
from tests.support.running_box import (
    ALIKE,
    LOOK_AHEAD_S,
    MORE_AHEAD,
    eventually,
    hear_music,
    places,
)
from tests.support.virtual_card import VirtualCard, virtual_card

BROUGHT = Path(__file__).parents[1] / "data" / "brought"
SEED = 1685
OTHER_SEED = 1750
PLAYED_S = 30


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return home(tmp_path)


def rendered(
    folder: Path, env: dict[str, str], seed: int, seconds: float
) -> audio_analysis.Picture:
    """What the music of ``seed`` looks like without any card or clock."""
    path = folder / f"{seed}.wav"
    said = bachbox("render", path, "--seed", seed, "--seconds", seconds, env=env)
    assert said.code == 0, said.err
    return audio_analysis.picture(audio_analysis.without_gaps(audio_analysis.wav(path)))


def test_what_a_card_plays_is_the_composers_music_and_all_of_it(
    env: dict[str, str], card: VirtualCard, tmp_path: Path
) -> None:
    recording = tmp_path / "recording.raw"
    with (
        card.recording(recording),
        playing("--seed", SEED, "--duration", PLAYED_S, env=env | card.environment) as box,
    ):
        assert box.finish() == 0, box.lines
    counts = box.counts()
    assert counts["composer"] == counts["performer"] == 0
    # Where the machine is too busy, the card plays zeros, and the music goes on after them.
    sound = audio_analysis.without_gaps(
        audio_analysis.music(audio_analysis.raw(recording.read_bytes()))
    )
    # The last chord dies away where the rendered music goes on.
    heard = audio_analysis.picture(sound[: (PLAYED_S - 2) * audio_analysis.RATE])
    places(heard, rendered(tmp_path, env, SEED, PLAYED_S + 4))
    unlike, _ = audio_analysis.likeness(
        heard[: len(heard) // 2], rendered(tmp_path, env, OTHER_SEED, PLAYED_S)
    )
    assert unlike < ALIKE - 0.2


def test_the_death_of_a_child_is_survived_and_counted(env: dict[str, str], tmp_path: Path) -> None:
    live, config = tmp_path / "live.wav", tmp_path / "bachbox.toml"
    config.write_text(f"[music]\n{MORE_AHEAD}\n")
    options = ("--output", f"wav:{live}", "--seed", SEED, "--config", config)
    with playing(*options, env=env) as box:
        box.wait_for("piece 1")
        for count, name in enumerate(("composer", "performer", "composer"), start=1):
            _more(live, 2.0)
            _composed_ahead(env)
            dead = box.child(name)
            dead.kill()
            box.wait_for("was ended by SIGKILL; another one starts", count)
            _more(live, 2.0)
            assert box.child(name).pid != dead.pid
        _more(live, 3.0)
        assert box.end() == 0
        counts = box.counts()
    assert (counts["composer"], counts["performer"]) == (2, 1)
    # The new composer goes on with the very music of the old one: not even a seam.
    sound = audio_analysis.wav(live)
    wanted = rendered(tmp_path, env, SEED, len(sound) / audio_analysis.RATE + 4)
    # The last chord dies away where the rendered music goes on.
    heard = audio_analysis.without_gaps(audio_analysis.music(sound)[: -4 * audio_analysis.RATE])
    places(audio_analysis.picture(heard), wanted)


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


def test_a_card_that_comes_goes_and_comes_again(env: dict[str, str], tmp_path: Path) -> None:
    with virtual_card() as card:
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
                hear_music(recording)
            assert box.end() == 0
            assert box.counts()["composer"] == 0


def test_a_mistake_in_a_section_that_the_music_does_not_need_is_told_while_it_plays(
    env: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "bachbox.toml"
    config.write_text(
        '[sound]\noutput = "null"\nsoundfont = "organ"\n[mqtt]\nport = 99999\n'
        f'[web]\nhost = ""\nzzz = 1\n[gpio]\nbuttons = 3\n[stream]\nsnapcast = "{config}"\n'
    )
    refused = bachbox("doctor", "--config", config, env=env)
    assert refused.code == 2
    with playing("--config", config, env=env) as box:
        box.wait_for("piece 1")
        # No mistake that reading the config finds, but it turns a part off all the same.
        eventually(lambda: f"  snapcast: {config} is not a pipe" in bachbox("status", env=env).out)
        status = bachbox("status", env=env).out
        told = [line.strip() for line in status.splitlines() if "until this is corrected" in line]
        assert [line.partition("; until this is corrected, ")[2] for line in told] == [
            "[mqtt] is off",
            "[web] is off",
            "[gpio] is off",
        ]
        assert re.search("  there is no soundfont 'organ'.*; the default soundfont plays", status)
        assert box.end() == 0
        for problem in told:
            assert problem.partition("; until")[0] in refused.err
            assert any(line.endswith(problem) for line in box.lines), box.lines
        assert not any("http://" in line for line in box.lines), "there is no page"


def test_what_was_left_out_of_a_prime_is_in_status_and_log(env: dict[str, str]) -> None:
    prime = BROUGHT / "pedal.mid"
    notice = f"{prime}: the pedal was taken as length"
    with playing("--output", "null", "--model", "keyboard", "--prime", prime, env=env) as box:
        box.wait_for(f"composer: {re.escape(notice)}")
        eventually(lambda: f"  {notice}\n" in bachbox("status", env=env).out)
        status = bachbox("status", "--json", env=env)
        assert json.loads(status.out)["notices"] == [notice]
        assert box.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_leaves_nobody_behind(env: dict[str, str], number: int) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        children = [box.child(name) for name in ("composer", "performer")]
        assert box.end(number) == 0
        assert not any(map(_lives, children))
        assert "Traceback" not in "".join(box.lines), box.lines


def test_a_killed_daemon_takes_its_children_along(env: dict[str, str]) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        children = [box.child(name) for name in ("composer", "performer")]
        box.end(signal.SIGKILL)
        _, alive = psutil.wait_procs(children, timeout=120)
        assert alive == []


def test_the_daemon_holds_no_numpy_and_all_are_small(env: dict[str, str]) -> None:
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        daemon = psutil.Process(box.process.pid)
        assert not any("numpy" in mapped.path for mapped in daemon.memory_maps())
        sizes = [process.memory_info().rss / 1e6 for process in _family(box)]
        assert sum(sizes) <= 160, sizes
        assert box.end() == 0


def _family(box: Playing) -> list[psutil.Process]:
    names = ("performer", "composer")
    return [psutil.Process(box.process.pid), *(box.child(name) for name in names)]


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _composed_ahead(env: dict[str, str]) -> None:
    """Wait until the music lasts while another composer starts."""

    def is_far() -> bool:
        status = json.loads(bachbox("status", "--json", env=env).out)
        return bool(status["health"]["look_ahead_s"] > LOOK_AHEAD_S)

    eventually(is_far)


def _more(live: Path, seconds: float) -> None:
    """Wait until so much more has been played into the file."""
    size = live.stat().st_size if live.exists() else 0
    wanted = size + seconds * audio_analysis.RATE * 4
    deadline = time.monotonic() + 120
    while not live.exists() or live.stat().st_size < wanted:
        assert time.monotonic() < deadline, "the music has stopped"
        time.sleep(0.1)
