"""The clock and the voices of a real box, by way of a broker, as Home Assistant reaches them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from tests.support import audio_analysis
from tests.support.broker import TestClient, broker, client
from tests.support.command import home, playing
from tests.support.jumping_clock import JumpingClock
from tests.support.running_box import eventually

BASE = "bachbox/kitchen"


def configured(folder: Path, port: int, more: str) -> Path:
    config = folder / "bachbox.toml"
    config.write_text(f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nid = "kitchen"\n{more}')
    return config


def turn(listener: TestClient, name: str, payload: str, state: str = "") -> None:
    since = len(listener.messages)
    listener.publish(f"{BASE}/{name}/set", payload)
    if listener.last(f"{BASE}/{name}") != (state or payload):
        listener.wait_for(f"{BASE}/{name}", re.escape(state or payload), since)


def test_a_box_keeps_its_times_although_its_clock_is_set(tmp_path: Path) -> None:
    env, clock = home(tmp_path), JumpingClock(tmp_path)
    # It is nine hours later in Tokyo.
    clock.set("2026-11-30 14:00")
    kept = Path(env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
    with broker(tmp_path) as server, client(server.port) as listener:
        config = configured(
            tmp_path,
            server.port,
            '[sound]\noutput = "null"\n'
            '[clock]\ntime_zone = "Asia/Tokyo"\nquiet_hours = "22:00-07:00"\n',
        )
        with playing("--config", config, env=env | clock.environment) as box:
            # It starts in its quiet hours, and plays when its clock turns out to be wrong.
            listener.wait_for(f"{BASE}/playing", "OFF")
            since = len(listener.messages)
            clock.set("2026-11-30 23:00")
            listener.wait_for(f"{BASE}/playing", "ON", since)

            turn(listener, "sleep", "20")
            turn(listener, "playing", "OFF")
            turn(listener, "playing", "ON")
            assert float(listener.last(f"{BASE}/sleep") or 0) > 10, "a pause does not end the timer"
            since = len(listener.messages)
            listener.publish(f"{BASE}/sleep/set", "0.05")
            listener.wait_for(f"{BASE}/playing", "OFF", since)
            assert listener.last(f"{BASE}/volume") == "70"

            turn(listener, "wake_rise", "0")
            turn(listener, "wake_time", "9:00 Mon-Fri", "09:00 Mon Tue Wed Thu Fri")
            since = len(listener.messages)
            clock.set("2026-12-01 00:00:05")
            listener.wait_for(f"{BASE}/playing", "ON", since)
            assert box.end() == 0
        stored = json.loads(kept.read_text())
        assert stored["wake_time"] == "09:00 Mon Tue Wed Thu Fri"
        assert stored["playing"] is True
        assert "sleep" not in stored


def test_a_voice_falls_silent_and_sounds_again(tmp_path: Path) -> None:
    sound = tmp_path / "music.wav"

    def loudest(seconds: float = 1.0) -> float:
        heard = audio_analysis.raw(sound.read_bytes()[44:][: (sound.stat().st_size - 44) // 4 * 4])
        return float(np.abs(heard[-round(seconds * audio_analysis.RATE) :].astype(int)).max())

    with broker(tmp_path) as server, client(server.port) as listener:
        config = configured(tmp_path, server.port, f'[sound]\noutput = "wav:{sound}"')
        env = home(tmp_path)
        with playing("--config", config, "--seed", 7, env=env) as box:
            listener.wait_for(f"{BASE}/now_playing", r'.*"playing".*"bar":[1-9].*')
            eventually(lambda: loudest() > 1000)
            for voice in ("soprano", "alto", "tenor", "bass"):
                turn(listener, voice, "OFF")
            # The music goes on, and nothing of it is heard once the hall has died away.
            eventually(lambda: loudest() < 10)
            assert '"playing"' in (listener.last(f"{BASE}/now_playing") or "")
            turn(listener, "solo", "bass")
            turn(listener, "bass_instrument", "bassoon", "Bassoon")
            eventually(lambda: loudest() > 300)
            assert box.end() == 0
