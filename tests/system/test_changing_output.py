"""Another sound card or soundfont while the music plays: heard on the new one, never silent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from appliance.errors import UsageError
from tests.support import sine_font
from tests.support.broker import broker, client
from tests.support.browser import chromium, page
from tests.support.command import bachbox, home, playing
from tests.support.running_box import ask, eventually
from tests.support.virtual_card import SOUNDFONT, VirtualCard, listen, virtual_card
from tests.support.web_server import playing_web_box

LOUD = 300
"""Samples above this are music."""


@pytest.fixture(scope="module")
def room() -> Iterator[VirtualCard]:
    """Two cards, heard on the two sides of one recording, and a default card that is broken."""
    with virtual_card() as card:
        card.split("left", "right")
        asoundrc = Path(card.environment["ALSA_CONFIG_PATH"])
        asoundrc.write_text(
            "pcm.!default { type hw card 31 }\nctl.!default { type hw card 31 }\n"
            "pcm.left { type pulse device left }\n"
            "pcm.right { type pulse device right }\n"
        )
        yield card


def sides(recording: Path, seconds: float = 1.5) -> tuple[bool, bool]:
    """Listen from now on; return whether there is music on the left and on the right."""
    listen(recording, seconds + 0.5)
    raw = recording.read_bytes()
    frames: NDArray[np.int16] = np.frombuffer(raw[: len(raw) // 4 * 4], "<i2").reshape(-1, 2)
    left, right = abs(frames[-int(seconds * 48_000) :].astype(int)).max(axis=0) > LOUD
    return bool(left), bool(right)


def plays_on(recording: Path, side: str) -> bool:
    """Listen until there is music on this side and none on the other; fail after half a minute.

    A pause between two pieces is silent on both, and so is a box that gets no processor time.
    """
    eventually(lambda: sides(recording) == (side == "left", side == "right"))
    return True


def test_output_and_soundfont_change_while_it_plays(
    room: VirtualCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = home(tmp_path) | room.environment | {"XDG_STATE_HOME": str(tmp_path / "state")}
    fonts = tmp_path / "data" / "bachbox" / "soundfonts"
    fonts.mkdir(parents=True)
    sine_font.write(fonts / "sine.sf2")
    # The head of a soundfont, so that the refusal is FluidSynth's own.
    (fonts / "broken.sf2").write_bytes(SOUNDFONT.read_bytes()[:200])
    env["XDG_DATA_HOME"] = str(tmp_path / "data")
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, env[name])
    recording = tmp_path / "both.raw"
    with (
        room.recording(recording),
        playing("--tempo", "100", "--instrument", "church organ", env=env) as box,
    ):
        box.wait_for("performer: the sound card 'default' cannot be opened: there is no such dev")
        eventually(lambda: ask().now_playing.condition == "playing")
        first = ask().now_playing
        assert (first.output, "plays instead" in first.problem) == ("left", True)
        assert plays_on(recording, "left")

        performer = box.child("performer").pid
        ask(output="right")
        eventually(lambda: ask().now_playing.output == "right")
        assert plays_on(recording, "right")
        assert ask().now_playing.problem == ""
        assert box.child("performer").pid == performer

        with pytest.raises(UsageError, match="there is no output 'Kitchen'; there are: default, "):
            ask(output="Kitchen")
        with pytest.raises(UsageError, match="there is no output"):
            ask(output=f"wav:{tmp_path}/mine.wav")

        ask(soundfont="sine")
        box.wait_for("performer: plays with the soundfont .*sine.sf2")
        assert plays_on(recording, "right")
        ask(soundfont="broken")
        box.wait_for("soundfont broken: .*; sine plays on")
        assert ask().settings.soundfont == "sine"
        assert plays_on(recording, "right")

        ask(mono=True, swap_channels=True, balance=-20)
        assert plays_on(recording, "right")
        assert box.child("performer").pid == performer, "never replaced"
        assert ask().health.restarts == 0
        assert box.end() == 0
    stored = json.loads((Path(env["XDG_STATE_HOME"]) / "bachbox" / "settings.json").read_text())
    assert (stored["output"], stored["soundfont"]) == ("right", "sine")

    # Kept: the next start plays there, although nothing on the command line says so.
    with room.recording(recording), playing(env=env) as box:
        box.wait_for("performer: plays on right")
        assert ask().settings.output == "right"
        assert plays_on(recording, "right")
        assert box.end() == 0


def test_the_output_is_chosen_on_the_page(room: VirtualCard, tmp_path: Path) -> None:
    """Both ways: the page changes it, and shows what is changed elsewhere; the music goes on."""
    recording = tmp_path / "both.raw"
    with (
        room.recording(recording),
        playing_web_box(tmp_path, output="left", environment=room.environment) as box,
        chromium() as browser,
        page(browser, box.url) as shown,
    ):
        performer = box.process.child("performer").pid
        assert plays_on(recording, "left")
        shown.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        choice = shown.get_by_label("Output", exact=True)
        expect(choice).to_have_value("left")
        offered = choice.locator("option").evaluate_all("all => all.map((one) => one.value)")
        assert {"default", "left", "right"} <= set(offered)

        choice.select_option("right")
        eventually(lambda: box.get("/api/now")["output"] == "right")
        assert plays_on(recording, "right")

        assert bachbox("set", "output=left", env=box.env).code == 0
        expect(choice).to_have_value("left")
        eventually(lambda: box.get("/api/now")["output"] == "left")
        assert plays_on(recording, "left")
        assert box.process.child("performer").pid == performer, "never replaced"


def test_the_output_is_chosen_over_mqtt(room: VirtualCard, tmp_path: Path) -> None:
    """As Home Assistant does: what it offers is chosen, heard there, and is the state then."""
    recording = tmp_path / "both.raw"
    with broker(tmp_path) as server, client(server.port) as listener:
        lines = f'[mqtt]\nhost = "127.0.0.1"\nport = {server.port}\nid = "kitchen"'
        with (
            room.recording(recording),
            playing_web_box(
                tmp_path, more=lines, output="left", environment=room.environment
            ) as box,
        ):
            performer = box.process.child("performer").pid
            listener.wait_for("bachbox/kitchen/output", "left")
            assert plays_on(recording, "left")
            topic = "homeassistant/select/bachbox_kitchen/output/config"
            # The cards are known a moment after the first announcement.
            listener.wait_for(topic, r'.*"left", "right".*')
            offered = listener.json(topic)
            assert {"default", "left", "right"} <= set(offered["options"])
            assert offered["command_topic"] == "bachbox/kitchen/output/set"

            listener.publish(offered["command_topic"], "right")
            listener.wait_for(offered["state_topic"], "right")
            assert plays_on(recording, "right")
            eventually(lambda: box.get("/api/now")["output"] == "right")

            listener.publish(offered["command_topic"], "Kitchen")
            box.process.wait_for("there is no output 'Kitchen'")
            assert listener.last(offered["state_topic"]) == "right"
            assert box.process.child("performer").pid == performer, "never replaced"


def test_it_returns_to_the_card_that_was_asked_for(
    room: VirtualCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = home(tmp_path) | room.environment | {"XDG_STATE_HOME": str(tmp_path / "state")}
    monkeypatch.setenv("XDG_RUNTIME_DIR", env["XDG_RUNTIME_DIR"])
    asoundrc = Path(env["ALSA_CONFIG_PATH"])
    before = asoundrc.read_text()
    with playing(env=env) as box:
        box.wait_for("performer: plays on left")
        asoundrc.write_text(before.split("\n", 2)[2] + "pcm.!default { type pulse }\n")
        eventually(lambda: ask().now_playing.output == "default")
        assert ask().now_playing.problem == ""
        assert ask().health.restarts == 0, "no failure"
        assert box.end() == 0
    asoundrc.write_text(before)
