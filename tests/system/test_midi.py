"""A real box with a MIDI device at either end: pipes stand for the cables."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from appliance.audio.midi.stream_parser import StreamParser
from appliance.frontends import local_socket
from appliance.frontends.local_socket import Request
from appliance.state.box_status import Status
from tests.support.command import Playing, bachbox, home, playing
from tests.support.midi_listener import hanging, notes
from tests.support.running_box import ask, eventually

ROOT = Path(__file__).parents[2]

CLOCK, STOP, CONTINUE = b"\xf8", b"\xfc", b"\xfb"

TUNE = [67, 69, 71, 72, 71]


class Organ:
    """The other end of MIDI out: hears everything, whoever sends it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        # Open for writing, too, so that a player that ends is no end of the file.
        self._fd = os.open(path, os.O_RDWR)
        self._parser = StreamParser()
        self.heard: list[bytes] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while data := os.read(self._fd, 4096):
            self.heard += self._parser.feed(data)

    def sounds(self) -> bool:
        return bool(hanging(list(self.heard)))


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    env = home(tmp_path)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, env[name])
    return env


@pytest.fixture
def box(tmp_path: Path, env: dict[str, str]) -> Iterator[tuple[Playing, Organ, int]]:
    """A box that plays, its organ, and the file descriptor of its controller."""
    organ = Organ(tmp_path / "organ")
    os.mkfifo(tmp_path / "controller")
    controller = os.open(tmp_path / "controller", os.O_RDWR)
    config = tmp_path / "bachbox.toml"
    config.write_text(
        f"""
        [midi]
        out_port = "{tmp_path}/organ"
        in_ports = ["{tmp_path}/controller"]
        clock = true
        knobs = {{ 7 = "volume", 21 = "tempo" }}
        buttons = {{ 64 = "playing" }}
        [web]
        port = 0
        """
    )
    arguments = ("--config", config, "--output", "null", "--verbose", "--tempo", "120")
    with playing(*arguments, env=env) as process:
        process.wait_for("listens to")
        eventually(organ.sounds)
        yield process, organ, controller
    os.close(controller)


def test_without_ports_nothing_of_midi_is_loaded() -> None:
    modules = "appliance.cli.play", "appliance.daemon.daemon", "appliance.workers.performer_process"
    loaded = (
        f"import sys, {', '.join(modules)}; print(*(name for name in sys.modules if "
        "name.startswith(('appliance.audio.midi', 'appliance.frontends.midi', "
        "'appliance.workers.midi'))))"
    )
    said = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert not said.stdout.strip()


def is_sung(tune: Sequence[int], messages: Iterable[bytes]) -> bool:
    """Whether the first channel plays these MIDI notes, one after the other."""
    sung = bytes(key for what, channel, key in notes(messages) if (what, channel) == ("on", 0))
    return bytes(tune) in sung


def play(controller: int, keys: Sequence[int]) -> None:
    """Play keys on the keyboard, one after the other, fast enough to be no pause."""
    for key in keys:
        os.write(controller, bytes((0x90, key, 80)))
        time.sleep(0.2)
        os.write(controller, bytes((0x80, key, 0)))


def status() -> Status:
    return next(local_socket.ask(Request()))


def test_every_note_ends_whatever_happens(box: tuple[Playing, Organ, int]) -> None:
    process, organ, _ = box
    for number in range(3):
        process.child("performer").kill()
        process.wait_for("performer was ended by SIGKILL", number + 1)
        # All that it left are released before another one begins.
        count = len(organ.heard)
        eventually(lambda: len(notes(organ.heard[count:])) > 20)  # noqa: B023
    ask(playing=False)
    eventually(lambda: not organ.sounds() and STOP in organ.heard)
    ask(playing=True, instrument="Flute")
    eventually(lambda: bytes((0xC0, 73)) in organ.heard and organ.sounds())
    eventually(lambda: CONTINUE in organ.heard)
    # The daemon is killed, so nobody but the performer itself can release them.
    process.process.kill()
    eventually(lambda: not organ.sounds())
    assert CLOCK in organ.heard


def test_a_storm_of_knobs_ends_with_the_last_value_and_the_music_goes_on(
    box: tuple[Playing, Organ, int],
) -> None:
    process, organ, controller = box
    ends = itertools.cycle((0, 127))

    def take_over() -> bool:
        end = next(ends)
        os.write(controller, bytes((0xB0, 7, end, 0xB0, 21, end)))
        settings = status().settings
        return settings.volume == 0 and settings.tempo == 40

    eventually(take_over)
    for number in range(1000):
        os.write(controller, bytes((0xB0, 7 if number % 2 else 21, number * 37 % 128)))
    os.write(controller, bytes((0xB0, 21, 0, 0xB0, 7, 127)))
    eventually(lambda: status().settings.volume == 100)
    eventually(lambda: status().settings.tempo == 40)
    count = len(organ.heard)
    eventually(lambda: len(notes(organ.heard[count:])) > 4)
    health = status().health
    assert health.restarts == 0
    os.write(controller, bytes((0xB0, 64, 127, 0xB0, 64, 0)))
    eventually(lambda: not organ.sounds())
    assert process.end(signal.SIGTERM) == 0
    assert not organ.sounds()


def keep(process: Playing, count: int) -> None:
    """Wait until this number of pieces is saved: a busy machine takes minutes to compose one."""
    with contextlib.suppress(AssertionError):
        process.wait_for("saved: ", count)
    process.wait_for("saved: ", count)


def test_what_is_played_on_a_keyboard_begins_a_piece(
    box: tuple[Playing, Organ, int], env: dict[str, str]
) -> None:
    process, organ, keyboard = box
    # At this tempo a 16th is short: two keys that a busy machine hears together are still two.
    # Paused, so that the piece is composed sooner.
    ask(tempo=240, playing=False)
    # All at once are no melody.
    os.write(keyboard, b"".join(bytes((0x90, key, 80)) for key in TUNE))
    os.write(keyboard, b"".join(bytes((0x80, key, 0)) for key in TUNE))
    process.wait_for("what was played: in bar 1 it has two notes at once")
    first = len(organ.heard)
    play(keyboard, TUNE)
    keep(process, 1)
    # Kept, and played at once.
    eventually(lambda: is_sung(TUNE, organ.heard[first:]))
    ask(playing=False)
    ask(model="keyboard")
    play(keyboard, TUNE)
    keep(process, 2)
    done = bachbox("saved", "--json", env=env)
    assert [piece["model"] for piece in json.loads(done.out)] == ["keyboard", "chorales"]
    assert process.end(signal.SIGTERM) == 0
    assert not organ.sounds()
