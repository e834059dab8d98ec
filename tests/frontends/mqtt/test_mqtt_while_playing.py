"""MQTT commands are heard on the sound card, saved, and still in force after a power cut."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support import audio_analysis
from tests.support.broker import broker, client, proxy
from tests.support.command import home, playing
from tests.support.running_box import LONGEST_BREATH_S
from tests.support.virtual_card import VirtualCard, listen
from tests.system.test_turning_knobs import BARS_S, Ear, brightness, level, onsets_a_second

BASE = "bachbox/kitchen"

TIMEOUT_S = 120.0
"""A hang fails the test; how fast things are is measured by `make bench`."""


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_commands_are_heard_and_saved_whatever_happens_to_the_broker(
    card: VirtualCard, tmp_path: Path
) -> None:
    env = home(tmp_path)
    config = tmp_path / "bachbox.toml"
    sound = Ear(tmp_path / "recording.raw")
    saved = Path(env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
    kept = {"tempo": "66", "temperature": "1.25", "top_p": "0.9", "volume": "55"}
    with (
        broker(tmp_path) as server,
        proxy(server.port) as network,
        client(server.port) as listener,
    ):
        config.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {network.port}\nid = "kitchen"\n')
        on_the_card = card.environment | {
            name: value for name, value in env.items() if name.startswith("XDG_")
        }

        def turn(name: str, payload: str, state: str = "") -> None:
            since = len(listener.messages)
            listener.publish(f"{BASE}/{name}/set", payload)
            if listener.last(f"{BASE}/{name}") != (state or payload):
                listener.wait_for(f"{BASE}/{name}", re.escape(state or payload), since)

        with playing("--config", config, "--seed", 7, env=on_the_card) as box:
            listener.wait_for(f"{BASE}/now_playing", r'.*"playing".*"bar":[1-9].*')
            with card.recording(sound.file):
                turn("volume", "100")
                turn("instrument", "woodblock", "Woodblock")
                turn("tempo", "60")
                clicks = sound.next(BARS_S)
                slow = onsets_a_second(clicks)
                turn("tempo", "200")
                sound.hears(lambda heard: onsets_a_second(heard) > 1.6 * slow, BARS_S)

                turn("instrument", "harpsichord", "Harpsichord")
                turn("tempo", "81")
                # Strings sound on, so their music is louder; it is quiet where it breathes.
                loud = sound.hears(lambda heard: level(heard) > 2 * level(clicks))
                turn("volume", "30")
                sound.hears(lambda heard: level(heard) < level(loud) / 4)
                turn("volume", "100.0", "100")
                turn("instrument", "ocarina", "Ocarina")
                sound.hears(lambda heard: brightness(heard) < brightness(loud) / 4)

                turn("playing", "OFF")
                sound.dies_away(level(loud) / 50)
                turn("playing", "ON")
                sound.hears(lambda heard: level(heard) > level(loud) / 20)

                rewinds = listener.json(f"{BASE}/health")["rewinds"]
                turn("temperature", "1.25")
                turn("top_p", "0.9")
                piece = listener.json(f"{BASE}/now_playing")["piece"]
                listener.publish(f"{BASE}/next_piece/set", "PRESS")
                listener.wait_for(f"{BASE}/now_playing", rf'.*"piece":{piece + 1}\b.*')
                until(lambda: listener.json(f"{BASE}/health")["rewinds"] > rewinds)

                # Everything a broker can do to us, all at once.
                before = listener.json(f"{BASE}/health")
                network.reset()
                for number in range(2_000):
                    listener.paho.publish(f"{BASE}/volume/set", f"{number % 200}")
                server.kill()
                listen(sound.file, 2.5)
                since = len(listener.messages)
                server.start()
                listener.wait_for(f"{BASE}/availability", "online", since)
                for name, value in kept.items():
                    turn(name, value + "0" * ("." in value), value)
                after = listener.json(f"{BASE}/health")
                assert after["restarts"] == before["restarts"]
                heard = sound.next(2).astype(np.int16)
                assert audio_analysis.silence_seconds(heard) < LONGEST_BREATH_S
                until(lambda: json.loads(saved.read_text()).get("volume") == 55)
            box.process.kill()
            box.process.wait()
            since = len(listener.messages)
        with playing("--config", config, env=on_the_card) as box:
            for name, value in kept.items():
                listener.wait_for(f"{BASE}/{name}", re.escape(value), since)
            listener.wait_for(f"{BASE}/instrument", "Ocarina", since)
            assert box.end() == 0
