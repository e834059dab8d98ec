"""The box on a real broker: everything can be turned, nothing from there can hurt."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from appliance.frontends.mqtt.session import ANNOUNCE_S
from appliance.state.settings import EffectiveSettings
from tests.support.broker import Broker, Ear, Wire, broker, ear, wire
from tests.support.command import Playing, bachbox, home, playing

BASE = "bachbox/kitchen"


class Kitchen(NamedTuple):
    """A box that plays, its broker, and the wire between them."""

    broker: Broker
    wire: Wire
    ear: Ear
    box: Playing
    env: dict[str, str]
    config: Path

    def status(self) -> dict[str, Any]:
        """What the box says of itself, not over the broker."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(30)
            talk.connect(str(next(Path(self.env["XDG_RUNTIME_DIR"]).rglob("control.sock"))))
            talk.sendall(b"{}\n")
            return dict(json.loads(talk.makefile().readline())["status"])

    def turn(self, name: str, payload: str | bytes, state: str) -> None:
        """Say ``payload``, and see the state become ``state``."""
        since = len(self.ear.heard)
        self.ear.say(f"{BASE}/{name}/set", payload)
        if self.ear.last(f"{BASE}/{name}") != state:
            self.ear.wait_for(f"{BASE}/{name}", re.escape(state), since)


def config_file(folder: Path, port: int, more: str = "") -> Path:
    path = folder / "bachbox.toml"
    path.write_text(
        '[sound]\noutput = "null"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\nid = "kitchen"\n{more}'
    )
    return path


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kitchen]:
    folder = tmp_path_factory.mktemp("kitchen")
    env = home(folder)
    with broker(folder) as server, wire(server.port) as line, ear(server.port) as listener:
        config = config_file(folder, line.port)
        with playing("--config", config, env=env) as box:
            listener.wait_for(f"{BASE}/now_playing", r'.*"playing".*"piece":[1-9].*')
            yield Kitchen(server, line, listener, box, env, config)
            assert box.end() == 0
            # Whatever was done to it above, the music has not noticed.
            counts = box.counts()
            assert (counts["xruns"], counts["late"]) == (0, 0), counts
            assert (counts["composer"], counts["performer"]) == (0, 0), box.lines
            assert listener.wait_for(f"{BASE}/availability", "offline") == "offline"


def test_the_state_is_there_for_whoever_comes_later(kitchen: Kitchen) -> None:
    with ear(kitchen.broker.port) as late:
        for name in EffectiveSettings._fields:
            late.wait_for(f"{BASE}/{name}")
        assert late.wait_for(f"{BASE}/availability") == "online"
        assert {h.topic for h in late.heard if h.topic.startswith(BASE) and not h.retained} <= {
            f"{BASE}/now_playing",
            f"{BASE}/health",
        }
        now = late.json(f"{BASE}/now_playing")
        assert {"model", "piece", "key", "bar", "seed"} <= now.keys()
        assert now["model"] == "chorales"
        health = late.json(f"{BASE}/health")
        assert {
            *("uptime_s", "xruns", "notes", "look_ahead_s", "rss_mib", "cpu_celsius", "restarts"),
        } <= health.keys()


@pytest.mark.parametrize(
    ("name", "payload", "state"),
    [
        ("tempo", "96", "96"),
        ("tempo", '{"value": 101.5}', "101.5"),
        ("temperature", "1.25", "1.25"),
        ("top_p", "0.8", "0.8"),
        ("volume", "30", "30"),
        ("instrument", "oboe", "Oboe"),
        ("instrument", '"church organ"', "Church Organ"),
        ("instrument", "73", "Flute"),
        ("model", "chorales", "chorales"),
        ("playing", "OFF", "OFF"),
        ("playing", "ON", "ON"),
        ("playing", "false", "OFF"),
        ("playing", "1", "ON"),
        ("tempo", "own", "80"),
        ("expression", "0", "0"),
        ("temperament", "Vallotti", "vallotti"),
        ("pitch", "415", "415"),
    ],
)
def test_every_setting_is_turned_from_the_broker(
    kitchen: Kitchen, name: str, payload: str, state: str
) -> None:
    kitchen.turn(name, payload, state)
    told = kitchen.status()["settings"][name]
    assert told == (state == "ON" if name == "playing" else type(told)(state))


@pytest.mark.parametrize(
    ("wish", "state"),
    [
        ("tempo=88", "88"),
        ("temperature=0.7", "0.7"),
        ("top-p=0.9", "0.9"),
        ("volume=55", "55"),
        ("instrument=harpsichord", "Harpsichord"),
        ("playing=off", "OFF"),
        ("playing=on", "ON"),
    ],
)
def test_what_another_control_turns_is_seen_on_the_broker(
    kitchen: Kitchen, wish: str, state: str
) -> None:
    name = wish.partition("=")[0].replace("-", "_")
    since = len(kitchen.ear.heard)
    assert bachbox("set", wish, env=kitchen.env).code == 0
    kitchen.ear.wait_for(f"{BASE}/{name}", re.escape(state), since)


def test_actions_are_done(kitchen: Kitchen) -> None:
    before = kitchen.ear.json(f"{BASE}/now_playing")["piece"]
    kitchen.ear.say(f"{BASE}/next_piece/set", "PRESS")
    kitchen.ear.wait_for(f"{BASE}/now_playing", rf'.*"piece":{before + 1}\b.*')
    kitchen.ear.say(f"{BASE}/restart_piece/set", "PRESS")
    kitchen.ear.wait_for(f"{BASE}/now_playing", rf'.*"piece":{before + 2}\b.*|.*"bar":[01]\b.*')


def test_what_was_turned_is_in_the_saved_file(kitchen: Kitchen) -> None:
    kitchen.turn("tempo", "93", "93")
    file = Path(kitchen.env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
    deadline = time.monotonic() + 20
    while not file.exists() or '"tempo":93' not in file.read_text().replace(" ", ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_group_steers_every_box(kitchen: Kitchen) -> None:
    since = len(kitchen.ear.heard)
    kitchen.ear.say("bachbox/all/tempo/set", "77")
    kitchen.ear.wait_for(f"{BASE}/tempo", "77", since)


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("tempo", "300", "it is a number from 40 to 240"),
        ("tempo", "nan", "it is a number from 40 to 240"),
        ("tempo", "fast", "it is a number"),
        ("volume", "-1", "0 to 100"),
        ("temperature", "1e99", "0.1 to 3"),
        ("top_p", "true-ish", "0.05 to 1"),
        ("instrument", "kazoo", "no instrument"),
        ("instrument", "128", "0 to 127"),
        ("temperament", "just", "one of equal"),
        ("pitch", "500", "392 to 466"),
        ("model", "wagner", "there is no model"),
        ("playing", "maybe", "on or off"),
        ("next_piece", "OFF", "PRESS"),
        ("tmpo", "96", "did you mean tempo"),
        ("tempo", b"\xff\xfe\x00", "not text in UTF-8"),
        ("tempo", b"9" * (1 << 20), "1048576 bytes"),
        ("tempo", b"", "empty payload"),
        ("tempo", '{"tempo": 96', "looks like JSON"),
        ("tempo", "[96]", "is no value"),
        ("tempo", '{"\x1b[2J\n', r"looks like JSON"),
        ("tem\u200bpo", "\x1b[2J\n", r"there is no setting 'tem\u200bpo'"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason_and_changes_nothing(
    kitchen: Kitchen, name: str, payload: str | bytes, reason: str
) -> None:
    before = kitchen.status()["settings"]
    since = len(kitchen.ear.heard)
    kitchen.ear.say(f"{BASE}/{name}/set", payload)
    said = kitchen.ear.wait_for(f"{BASE}/error", f".*{re.escape(reason)}.*", since)
    assert len(said) < 400
    assert said.isprintable()
    assert kitchen.status()["settings"] == before


def test_whatever_strangers_send_it_goes_on(kitchen: Kitchen) -> None:
    dice = random.Random(1)
    names = [*EffectiveSettings._fields, "next_piece", "nonsense"]
    for _ in range(1_000):
        payload = dice.randbytes(dice.randrange(40))
        kitchen.ear.client.publish(f"{BASE}/{dice.choice(names)}/set", payload, dice.randrange(3))
        kitchen.ear.client.publish("homeassistant/status", payload)
    kitchen.turn("playing", "ON", "ON")
    kitchen.turn("tempo", "118", "118")


def test_a_flood_ends_with_the_last_value(kitchen: Kitchen) -> None:
    kitchen.turn("volume", "99", "99")
    since = len(kitchen.ear.heard)
    for number in range(10_000):
        kitchen.ear.client.publish(f"{BASE}/volume/set", f"{number % 90}", qos=0)
    kitchen.ear.say(f"{BASE}/volume/set", "42.5")
    kitchen.ear.wait_for(f"{BASE}/volume", r"42\.5", since)
    # The states in between are some, not ten thousand.
    assert len([h for h in kitchen.ear.heard[since:] if h.topic == f"{BASE}/volume"]) < 2_000
    time.sleep(0.2)
    assert kitchen.ear.last(f"{BASE}/volume") == "42.5"


def test_the_log_knows_why_and_is_not_flooded(kitchen: Kitchen) -> None:
    before = len(kitchen.box.lines)
    for _ in range(1_000):
        kitchen.ear.client.publish(f"{BASE}/tempo/set", "1000", qos=0)
    kitchen.ear.say(f"{BASE}/tempo/set", "1001")
    kitchen.box.wait_for("mqtt: refused: tempo: '1001'")
    assert len(kitchen.box.lines) - before < 100


def test_home_assistant_is_told_again_when_it_is_born(kitchen: Kitchen) -> None:
    topic = "homeassistant/number/bachbox_kitchen/tempo/config"
    kitchen.ear.wait_for(topic)
    since = len(kitchen.ear.heard)
    kitchen.ear.say("homeassistant/status", "online")
    kitchen.ear.wait_for(topic, since=since)
    for name in (*EffectiveSettings._fields, "availability"):
        kitchen.ear.wait_for(f"{BASE}/{name}", since=since)


def test_what_was_announced_in_the_other_form_is_taken_back(kitchen: Kitchen) -> None:
    topic = "homeassistant/device/bachbox_kitchen/config"
    kitchen.ear.say(topic, "{}", retain=True)
    kitchen.ear.wait_for(topic, "{}")
    kitchen.ear.wait_for(topic, "^$")


def test_after_a_reset_connection_the_state_is_right_again(kitchen: Kitchen) -> None:
    since = len(kitchen.ear.heard)
    kitchen.wire.cut()
    # The broker says it for the box.
    kitchen.ear.wait_for(f"{BASE}/availability", "offline", since)
    assert bachbox("set", "tempo=111", env=kitchen.env).code == 0
    kitchen.ear.wait_for(f"{BASE}/tempo", "111", since)
    kitchen.ear.wait_for(f"{BASE}/availability", "online", since)
    kitchen.turn("tempo", "112", "112")


def test_a_broker_that_dies_and_comes_back_leaves_the_music_alone(kitchen: Kitchen) -> None:
    kitchen.broker.kill()
    kitchen.box.wait_for("mqtt: the broker at .* is gone; trying again in the background")
    assert bachbox("set", "tempo=71", env=kitchen.env).code == 0
    before = kitchen.status()["health"]
    kitchen.broker.start()
    with ear(kitchen.broker.port) as fresh:
        assert fresh.wait_for(f"{BASE}/availability", "online")
        fresh.wait_for(f"{BASE}/tempo", "71")
        fresh.wait_for("homeassistant/switch/bachbox_kitchen/playing/config")
        fresh.say(f"{BASE}/tempo/set", "72")
        fresh.wait_for(f"{BASE}/tempo", "72")
        after = fresh.json(f"{BASE}/health")
    assert after["xruns"] == before["xruns"] == 0
    kitchen.ear.wait_for(f"{BASE}/tempo", "72")


def test_a_command_that_the_broker_has_retained_is_passed_over(kitchen: Kitchen) -> None:
    kitchen.turn("tempo", "100", "100")
    since = len(kitchen.ear.heard)
    kitchen.wire.hold()
    kitchen.wire.cut()
    kitchen.ear.say(f"{BASE}/tempo/set", "200", retain=True)
    kitchen.wire.mend()
    kitchen.ear.wait_for(f"{BASE}/error", ".*retained.*", since)
    assert kitchen.ear.last(f"{BASE}/tempo") == "100"
    kitchen.ear.say(f"{BASE}/tempo/set", "", retain=True)


def test_forget_takes_it_away_and_leaves_a_running_box_alone(kitchen: Kitchen) -> None:
    # By then it has introduced itself for as often as it was asked to.
    time.sleep(ANNOUNCE_S + 1)
    said = bachbox("mqtt", "forget", "--config", kitchen.config, env=kitchen.env)
    assert said.code == 0, said.err
    assert "kitchen: 18 retained topics taken away" in said.out
    assert "is running" in said.err
    with ear(kitchen.broker.port) as late:
        late.wait_for(f"{BASE}/availability", "online")
        assert not [h for h in late.heard if h.topic.startswith("homeassistant/")]
    kitchen.turn("tempo", "120", "120")
