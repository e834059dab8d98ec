"""Hands on a box that plays on a card: each setting is heard, shown, kept, and there again."""

from __future__ import annotations

import hashlib
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.composing.interpreter import RUNTIME_VARIABLE
from appliance.music.temperament import NAMES as TEMPERAMENTS
from appliance.state.settings import Action
from tests.support import audio_analysis
from tests.support.command import bachbox, home, playing
from tests.support.making_music import joined, parts_of
from tests.support.running_box import ask, eventually, hear_music
from tests.support.virtual_card import VirtualCard, listen

Sound = NDArray[np.float64]

AUDIBLE = 33.0
"""In steps of 16 bits: -60 dB."""

BARS_S = 12.0
"""Three bars: in less, slow notes at a quick tempo are as many as quick ones at a slow tempo."""


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment = home(tmp_path)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, environment[name])
    return environment


class Ear:
    """The end of a recording that is being made."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def last(self, seconds: float) -> Sound:
        content = self.file.read_bytes()
        sound = audio_analysis.raw(content[: len(content) // 4 * 4])
        return np.asarray(sound[-int(seconds * audio_analysis.RATE) :], np.float64)

    def next(self, seconds: float) -> Sound:
        """What is heard from half a second after now on, or from later if that is a pause."""
        listen(self.file, 0.5)
        hear_music(self.file, seconds, silent_share=0.25)
        return self.last(seconds)

    def hears(self, what: Callable[[Sound], bool], seconds: float = 2.0) -> Sound:
        """Listen until the music of the last ``seconds`` is so, and return it.

        How soon that is depends on the machine: `make bench` measures it.
        """
        heard: list[Sound] = []

        def is_so() -> bool:
            heard.append(self.next(seconds))
            return what(heard[-1])

        eventually(is_so)
        return heard[-1]

    def dies_away(self, limit: float) -> None:
        """Listen until half a second is quieter than a limit: in a hall that takes a while."""

        def is_quiet() -> bool:
            listen(self.file, 0.5)
            return level(self.last(0.5)) < limit

        eventually(is_quiet)


def level(sound: Sound) -> float:
    return float(np.sqrt((sound**2).mean()))


def brightness(sound: Sound) -> float:
    """The share of what is above 3 kHz."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(power[int(3000 * len(sound) / audio_analysis.RATE) :].sum() / power.sum())


def off_cents(sound: Sound) -> float:
    """How far the loudest tones lie from equal temperament at 440 Hz: from -50 to 50."""
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * len(sound)))
    hertz = np.fft.rfftfreq(4 * len(sound), 1 / audio_analysis.RATE)
    loud = (power > power.max() / 8) & (hertz > 100)
    turns = 12 * np.log2(hertz[loud] / 440)
    return float(np.angle((power[loud] * np.exp(2j * np.pi * turns)).sum()) / (2 * np.pi) * 100)


def onsets_a_second(sound: Sound) -> float:
    """Of an instrument that is struck."""
    steps = np.abs(np.diff(sound))[: len(sound) // 480 * 480 - 480].reshape(-1, 480).max(axis=1)
    rises = (steps[1:] > 4 * steps[:-1]) & (steps[1:] > steps.max() / 10)
    return float(rises.sum() / (len(steps) / 100))


def test_every_setting_from_the_shell_is_heard_shown_kept_and_there_after_a_restart(
    card: VirtualCard, env: dict[str, str], tmp_path: Path
) -> None:
    recording = tmp_path / "recording.raw"
    ear = Ear(recording)
    with (
        card.recording(recording),
        playing("--seed", 7, env=card.environment | env) as box,
    ):
        box.wait_for("plays on")
        eventually(lambda: ask().now_playing.bar >= 1)
        said = bachbox("set", "volume=100", "instrument=woodblock", "tempo=60", env=env)
        assert said.code == 0, said.err
        for shown in ("tempo 60", "Woodblock", "volume 100"):
            assert shown in said.out
        clicks = ear.next(BARS_S)
        ask(tempo=200)
        ear.hears(lambda sound: onsets_a_second(sound) > 1.6 * onsets_a_second(clicks), BARS_S)

        ask(instrument="harpsichord", tempo=80)
        # Strings sound on, so their music is louder; it is quiet where it breathes.
        ear.hears(lambda sound: level(sound) > 2 * level(clicks))
        # Two seconds may be soft, a few bars are not.
        loud = ear.next(BARS_S)
        ask(volume=30)
        ear.hears(lambda sound: level(sound) < level(loud) / 4)
        ask(volume=100, instrument="ocarina")
        ear.hears(lambda sound: brightness(sound) < brightness(loud) / 4)

        ask(instrument="drawbar organ", volume=100)
        ear.hears(lambda sound: abs(off_cents(sound)) < 12, 3)
        # A third of a semitone lower, and the sharps lower still.
        assert ask(temperament="meantone", pitch=431.6).settings.temperament == "meantone"
        ear.hears(lambda sound: -60 < off_cents(sound) < -20, 3)
        assert ask(expression=25, instrument="ocarina").settings.expression == 25

        rewinds = ask().health.rewinds
        status = ask(temperature=1.25, top_p=0.9)
        assert (status.settings.temperature, status.settings.top_p) == (1.25, 0.9)
        eventually(lambda: ask().health.rewinds > rewinds)
        piece = ask().now_playing.piece
        bachbox("set", "next_piece", env=env)
        eventually(lambda: ask().now_playing.piece == piece + 1)
        started = ask().now_playing
        eventually(lambda: ask().now_playing.bar >= started.bar + 2)
        ask(Action.RESTART_PIECE)
        eventually(lambda: ask().now_playing.bar <= started.bar + 1)

        ask(playing=False)
        eventually(lambda: ask().now_playing.condition == "paused")
        ear.dies_away(level(loud) / 50)
        ask(playing=True, volume=55)
        eventually(lambda: ask().now_playing.condition == "playing")
        health = ask().health
        assert health.restarts == 0
        assert box.end() == 0

    kept_file = Path(env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
    assert json.loads(kept_file.read_text()) == {
        "tempo": 80, "instrument": "Ocarina", "volume": 55, "temperature": 1.25, "top_p": 0.9,
        "playing": True, "expression": 25, "temperament": "meantone", "pitch": 431.6,
    }  # fmt: skip
    config = tmp_path / "bachbox.toml"
    config.write_text("[music]\ntempo_bpm = 50\n[sound]\nmax_startup_volume = 40\n")
    with playing("--output", "null", "--config", config, "--top-p", 0.8, env=env) as box:
        box.wait_for("piece 1")
        settings = ask().settings
        assert (settings.tempo, settings.instrument, settings.volume) == (80, "Ocarina", 40)
        assert (settings.temperature, settings.top_p) == (1.25, 0.8)
        assert (settings.temperament, settings.pitch) == ("meantone", 431.6)
        # Killed without warning, it comes back as it was: what the power cut saw is on the disk.
        ask(tempo=99)
        eventually(lambda: '"tempo": 99' in kept_file.read_text())
        box.process.kill()
    with playing("--output", "null", env=env) as box:
        box.wait_for("piece 1")
        assert ask().settings.tempo == 99
        ask(playing=False)
        box.end()
    with playing("--output", "null", env=env) as box:
        box.wait_for("left paused; `bachbox set playing=on` resumes it")
        box.end()
    said = bachbox("status", env=env)
    said.is_one_sentence(1, "no Bachbox is running here")


def test_fifty_changes_a_second_leave_the_music_and_no_note_behind(
    card: VirtualCard, env: dict[str, str], tmp_path: Path
) -> None:
    dice = random.Random(1)
    wishes: dict[str, Any] = {
        "tempo": lambda: dice.randint(40, 240),
        "volume": lambda: dice.randint(0, 100),
        "instrument": lambda: dice.randint(0, 111),
        "temperature": lambda: round(dice.uniform(0.5, 1.5), 2),
        "expression": lambda: dice.randint(0, 100),
        "temperament": lambda: dice.choice(TEMPERAMENTS),
        "pitch": lambda: dice.randint(392, 466),
    }
    recording = tmp_path / "recording.raw"
    ear = Ear(recording)
    with card.recording(recording), playing("--seed", 8, env=card.environment | env) as box:
        box.wait_for("plays on")
        eventually(lambda: ask().now_playing.bar >= 2)
        before, begin = ask().health, time.monotonic()
        for number in range(400):
            name = dice.choice(list(wishes))
            ask(**{name: wishes[name]()})
            # So many a second where the machine can do it: `make bench` counts what comes too late.
            time.sleep(max(0.0, begin + number / 50 - time.monotonic()))
            if time.monotonic() > begin + 30:
                break
        eventually(lambda: ask().health.rewinds > before.rewinds)
        assert ask().health.restarts == 0
        ask(volume=100, instrument="church organ", tempo=80)
        ear.hears(lambda sound: level(sound) > AUDIBLE)
        ask(playing=False)
        eventually(lambda: ask().now_playing.condition == "paused")
        # No note is left sounding once the last chord has died away.
        ear.dies_away(AUDIBLE)
        assert box.end() == 0


@pytest.mark.parametrize("runtime", ["tflite_runtime", "ai_edge_litert"])
def test_a_model_that_does_not_compose_gives_way_to_the_one_before(
    env: dict[str, str], tmp_path: Path, runtime: str
) -> None:
    """Its checksum agrees, so only the runtime finds it out: one refuses it, the other crashes."""
    if runtime == "tflite_runtime" and sys.version_info >= (3, 12):
        runtime = "ai_edge_litert"
    _, texts = parts_of()
    content = b"\x1c\0\0\0TFL3" + bytes(2000)
    about = json.loads(texts["metadata.json"]) | {"sha256": hashlib.sha256(content).hexdigest()}
    texts = texts | {"metadata.json": json.dumps(about)}
    (tmp_path / "hostile.tflite").write_bytes(joined(content, texts))
    config = tmp_path / "bachbox.toml"
    config.write_text(f'[music]\nmodels_folder = "{tmp_path}"\n')
    environment = env | {RUNTIME_VARIABLE: runtime}
    with playing("--output", "null", "--config", config, "--seed", 3, env=environment) as box:
        box.wait_for("piece 1")
        eventually(lambda: ask().health.look_ahead_s > 3)
        ask(model="hostile")
        box.wait_for("hostile does not compose, so chorales takes over")
        assert ask().settings.model == "chorales"
        heard = ask().health.notes
        eventually(lambda: ask().health.notes > heard + 20)
        assert box.end() == 0
    kept = json.loads((Path(env["XDG_STATE_HOME"]) / "bachbox" / "settings.json").read_text())
    assert kept == {"model": "chorales"}
