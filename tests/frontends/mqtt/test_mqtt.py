"""The box on a real broker: every setting can be changed, and nothing sent there does harm."""

from __future__ import annotations

import json
import random
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest

from appliance.frontends.mqtt.mqtt_frontend import DISCOVERY_INTERVAL_S
from appliance.state.settings import NAMES
from tests.support.broker import Broker, TcpProxy, TestClient, broker, client, proxy
from tests.support.command import Playing, bachbox, home, playing

BASE = "bachbox/kitchen"


class Kitchen(NamedTuple):
    """A playing box, its broker, and the network between them."""

    broker: Broker
    proxy: TcpProxy
    client: TestClient
    box: Playing
    env: dict[str, str]
    config: Path

    def status(self) -> dict[str, Any]:
        """The status from the local socket, not over the broker."""
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(120)
            talk.connect(str(next(Path(self.env["XDG_RUNTIME_DIR"]).rglob("control.sock"))))
            talk.sendall(b"{}\n")
            return dict(json.loads(talk.makefile().readline())["status"])

    def change(self, name: str, payload: str | bytes, state: str) -> None:
        """Send ``payload`` as a command and wait for the state ``state``."""
        since = len(self.client.messages)
        self.client.publish(f"{BASE}/{name}/set", payload)
        if self.client.last(f"{BASE}/{name}") != state:
            self.client.wait_for(f"{BASE}/{name}", re.escape(state), since)


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
    with broker(folder) as server, proxy(server.port) as line, client(server.port) as listener:
        config = config_file(folder, line.port)
        with playing("--config", config, env=env) as box:
            listener.wait_for(f"{BASE}/now_playing", r'.*"playing".*"piece":[1-9].*')
            listener.wait_for(f"{BASE}/availability", "online")
            yield Kitchen(server, line, listener, box, env, config)
            assert box.end() == 0
            # Nothing that the tests above did has ended a process.
            counts = box.counts()
            assert (counts["composer"], counts["performer"]) == (0, 0), box.lines
            assert listener.wait_for(f"{BASE}/availability", "offline") == "offline"


def test_states_are_retained_for_later_subscribers(kitchen: Kitchen) -> None:
    with client(kitchen.broker.port) as early:
        for topic in ("availability", "now_playing", "health", *NAMES):
            early.wait_for(f"{BASE}/{topic}")
    with client(kitchen.broker.port) as late:
        for name in NAMES:
            late.wait_for(f"{BASE}/{name}")
        assert late.wait_for(f"{BASE}/availability") == "online"
        # What the box publishes meanwhile, a second time after discovery, comes after these.
        retained = {h.topic for h in late.messages if h.retained}
        assert {f"{BASE}/{name}" for name in ("availability", *NAMES)} <= retained
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
        ("playing", "TOGGLE", "OFF"),
        ("playing", '{"value": "toggle"}', "ON"),
        ("volume", "+5", "35"),
        ("volume", "-10", "25"),
        ("tempo", "default", "80"),
        ("expression", "0", "0"),
        ("temperament", "Vallotti", "vallotti"),
        ("pitch", "415", "415"),
    ],
)
def test_commands_change_every_setting(
    kitchen: Kitchen, name: str, payload: str, state: str
) -> None:
    kitchen.change(name, payload, state)
    value = kitchen.status()["settings"][name]
    assert value == (state == "ON" if name == "playing" else type(value)(state))


@pytest.mark.parametrize(
    ("change", "state"),
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
def test_changes_by_other_frontends_are_published(
    kitchen: Kitchen, change: str, state: str
) -> None:
    name = change.partition("=")[0].replace("-", "_")
    since = len(kitchen.client.messages)
    assert bachbox("set", change, env=kitchen.env).code == 0
    kitchen.client.wait_for(f"{BASE}/{name}", re.escape(state), since)


def test_actions_are_carried_out(kitchen: Kitchen) -> None:
    before = kitchen.client.json(f"{BASE}/now_playing")["piece"]
    kitchen.client.publish(f"{BASE}/next_piece/set", "PRESS")
    kitchen.client.wait_for(f"{BASE}/now_playing", rf'.*"piece":{before + 1}\b.*')
    kitchen.client.publish(f"{BASE}/restart_piece/set", "PRESS")
    kitchen.client.wait_for(f"{BASE}/now_playing", rf'.*"piece":{before + 2}\b.*|.*"bar":[01]\b.*')


def test_a_piece_is_saved_and_played_again_and_a_scene_is_chosen(kitchen: Kitchen) -> None:
    kitchen.change("scene", "quiet choir", "Quiet choir")
    kitchen.client.wait_for(f"{BASE}/instrument", "Choir Aahs")
    kitchen.change("tempo", "200", "200")
    kitchen.client.wait_for(f"{BASE}/scene", "none")
    kitchen.client.wait_for(f"{BASE}/now_playing", r'.*"bar":[2-9].*', len(kitchen.client.messages))
    kitchen.client.publish(f"{BASE}/save/set", "PRESS")
    said = kitchen.client.wait_for(f"{BASE}/event", '.*"saved".*')
    name = json.loads(said)["about"]
    kitchen.change("saved_piece", name, name)
    kitchen.client.wait_for(f"{BASE}/now_playing", r'.*"saved":[1-9].*')
    kitchen.change("saved_piece", "none", "none")
    kitchen.client.wait_for(
        f"{BASE}/now_playing", '.*"saved":0.*', len(kitchen.client.messages) - 1
    )


def test_changed_settings_are_saved_to_the_file(kitchen: Kitchen) -> None:
    kitchen.change("tempo", "93", "93")
    file = Path(kitchen.env["XDG_STATE_HOME"]) / "bachbox" / "settings.json"
    deadline = time.monotonic() + 120
    while not file.exists() or '"tempo":93' not in file.read_text().replace(" ", ""):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_group_commands_reach_the_box(kitchen: Kitchen) -> None:
    since = len(kitchen.client.messages)
    kitchen.client.publish("bachbox/all/tempo/set", "77")
    kitchen.client.wait_for(f"{BASE}/tempo", "77", since)


@pytest.mark.parametrize(
    ("name", "payload", "reason"),
    [
        ("tempo", "300", "it must be a number from 40 to 240"),
        ("tempo", "nan", "it must be a number from 40 to 240"),
        ("tempo", "fast", "it must be a number"),
        ("volume", '{"value": -1}', "0 to 100"),
        ("temperature", "1e99", "0.1 to 3"),
        ("top_p", "true-ish", "0.05 to 1"),
        ("instrument", "kazoo", "no instrument"),
        ("instrument", "128", "0 to 127"),
        ("temperament", "just", "one of equal"),
        ("pitch", "500", "392 to 466"),
        ("model", "wagner", "there is no model"),
        ("playing", "maybe", "on or off"),
        ("next_piece", "OFF", "PRESS"),
        ("tmpo", "96", "did you mean 'tempo'"),
        ("tempo", b"\xff\xfe\x00", "not text in UTF-8"),
        ("tempo", b"9" * (1 << 20), "1048576 bytes"),
        ("tempo", b"", "payload is empty"),
        ("tempo", '{"tempo": 96', "looks like JSON"),
        ("tempo", "[96]", "is not a value"),
        ("tempo", '{"\x1b[2J\n', r"looks like JSON"),
        ("tem\u200bpo", "\x1b[2J\n", r"there is no setting 'tem\u200bpo'"),
    ],
)
def test_invalid_commands_are_rejected_with_a_reason_and_change_nothing(
    kitchen: Kitchen, name: str, payload: str | bytes, reason: str
) -> None:
    before = kitchen.status()["settings"]
    since = len(kitchen.client.messages)
    kitchen.client.publish(f"{BASE}/{name}/set", payload)
    error = kitchen.client.wait_for(f"{BASE}/error", f".*{re.escape(reason)}.*", since)
    assert len(error) < 400
    assert error.isprintable()
    assert kitchen.status()["settings"] == before


def test_random_messages_do_no_harm(kitchen: Kitchen) -> None:
    rng = random.Random(1)
    names = [*NAMES, "next_piece", "nonsense"]
    for _ in range(1_000):
        payload = rng.randbytes(rng.randrange(40))
        kitchen.client.paho.publish(f"{BASE}/{rng.choice(names)}/set", payload, rng.randrange(3))
        kitchen.client.paho.publish("homeassistant/status", payload)
    kitchen.change("playing", "ON", "ON")
    kitchen.change("tempo", "118", "118")


def test_the_last_value_of_a_flood_wins(kitchen: Kitchen) -> None:
    kitchen.change("volume", "99", "99")
    since = len(kitchen.client.messages)
    for number in range(10_000):
        kitchen.client.paho.publish(f"{BASE}/volume/set", f"{number % 90}", qos=0)
    kitchen.client.publish(f"{BASE}/volume/set", "42.5")
    kitchen.client.wait_for(f"{BASE}/volume", r"42\.5", since)
    # Some states in between are published, not ten thousand.
    assert len([h for h in kitchen.client.messages[since:] if h.topic == f"{BASE}/volume"]) < 2_000
    time.sleep(0.2)
    assert kitchen.client.last(f"{BASE}/volume") == "42.5"


def test_every_step_of_a_fast_knob_counts(kitchen: Kitchen) -> None:
    kitchen.change("volume", "20", "20")
    for _ in range(60):
        kitchen.client.paho.publish(f"{BASE}/volume/set", "+1", qos=0)
    for _ in range(20):
        kitchen.client.paho.publish(f"{BASE}/volume/set", "-1", qos=0)
    kitchen.client.wait_for(f"{BASE}/volume", "60")


def test_rejections_are_logged_without_flooding_the_log(kitchen: Kitchen) -> None:
    before = len(kitchen.box.lines)
    for _ in range(1_000):
        kitchen.client.paho.publish(f"{BASE}/tempo/set", "1000", qos=0)
    kitchen.client.publish(f"{BASE}/tempo/set", "1001")
    kitchen.box.wait_for("mqtt: rejected: tempo: '1001'")
    assert len(kitchen.box.lines) - before < 100


def test_discovery_is_published_again_after_home_assistants_birth_message(kitchen: Kitchen) -> None:
    topic = "homeassistant/number/bachbox_kitchen/tempo/config"
    kitchen.client.wait_for(topic)
    since = len(kitchen.client.messages)
    kitchen.client.publish("homeassistant/status", "online")
    kitchen.client.wait_for(topic, since=since)
    for name in (*NAMES, "availability"):
        kitchen.client.wait_for(f"{BASE}/{name}", since=since)


def test_discovery_payloads_of_the_other_form_are_deleted(kitchen: Kitchen) -> None:
    topic = "homeassistant/device/bachbox_kitchen/config"
    since = len(kitchen.client.messages)
    kitchen.client.publish(topic, "{}", retain=True)
    kitchen.client.wait_for(topic, "^$", since)
    # Home Assistant is asked to keep its entities; when it let go of them, the new form comes.
    kitchen.client.wait_for("homeassistant/number/bachbox_kitchen/tempo/config", since=since)
    order = [m.topic for m in kitchen.client.messages[since:] if m.topic.startswith("homeass")]
    payloads = [m.payload for m in kitchen.client.messages[since:] if m.topic == topic]
    assert payloads == ["{}", '{"migrate_discovery": true}', ""]
    assert order[:3] == [topic] * 3


def test_events_are_published_as_they_happen(kitchen: Kitchen) -> None:
    since = len(kitchen.client.messages)
    kitchen.client.publish(f"{BASE}/next_piece/set", "PRESS")
    ended = json.loads(kitchen.client.wait_for(f"{BASE}/event", ".*piece_ended.*", since))
    began = json.loads(kitchen.client.wait_for(f"{BASE}/event", ".*piece_began.*", since))
    assert ended["about"]
    title = re.escape(json.dumps(began["about"], ensure_ascii=False))
    kitchen.client.wait_for(f"{BASE}/now_playing", f'.*"title":{title}.*', since)
    assert not any(m.retained for m in kitchen.client.messages if m.topic == f"{BASE}/event")
    picture = kitchen.client.wait_for(f"{BASE}/piano_roll", "<svg .*</svg>", since)
    assert began["about"] in picture
    assert ElementTree.fromstring(picture).find("{http://www.w3.org/2000/svg}rect") is not None


def test_the_models_defaults_are_a_button(kitchen: Kitchen) -> None:
    kitchen.change("tempo", "133", "133")
    since = len(kitchen.client.messages)
    kitchen.client.publish(f"{BASE}/model_defaults/set", "PRESS")
    kitchen.client.wait_for(f"{BASE}/tempo", "80", since)


def test_states_are_right_again_after_a_reset_connection(kitchen: Kitchen) -> None:
    since = len(kitchen.client.messages)
    kitchen.proxy.reset()
    # The last will, published by the broker.
    kitchen.client.wait_for(f"{BASE}/availability", "offline", since)
    assert bachbox("set", "tempo=111", env=kitchen.env).code == 0
    kitchen.client.wait_for(f"{BASE}/tempo", "111", since)
    kitchen.client.wait_for(f"{BASE}/availability", "online", since)
    kitchen.change("tempo", "112", "112")


def test_a_broker_restart_does_not_disturb_the_music(kitchen: Kitchen) -> None:
    kitchen.broker.kill()
    kitchen.box.wait_for(
        "mqtt: the connection to the broker at .* is lost; retrying in the background"
    )
    assert bachbox("set", "tempo=71", env=kitchen.env).code == 0
    before = kitchen.status()["health"]
    kitchen.broker.start()
    with client(kitchen.broker.port) as fresh:
        assert fresh.wait_for(f"{BASE}/availability", "online")
        fresh.wait_for(f"{BASE}/tempo", "71")
        fresh.wait_for("homeassistant/switch/bachbox_kitchen/playing/config")
        fresh.publish(f"{BASE}/tempo/set", "72")
        fresh.wait_for(f"{BASE}/tempo", "72")
    # The music goes on; notes are composed in batches, some seconds ahead.
    deadline = time.monotonic() + 120
    while kitchen.status()["health"]["notes"] <= before["notes"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert kitchen.status()["health"]["restarts"] == before["restarts"]
    kitchen.client.wait_for(f"{BASE}/tempo", "72")


def test_a_retained_command_is_ignored(kitchen: Kitchen) -> None:
    kitchen.change("tempo", "100", "100")
    since = len(kitchen.client.messages)
    kitchen.proxy.stall()
    kitchen.proxy.reset()
    kitchen.client.publish(f"{BASE}/tempo/set", "200", retain=True)
    kitchen.proxy.restore()
    kitchen.client.wait_for(f"{BASE}/error", ".*retained.*", since)
    assert kitchen.client.last(f"{BASE}/tempo") == "100"
    kitchen.client.publish(f"{BASE}/tempo/set", "", retain=True)


def test_unregister_removes_discovery_but_not_the_topics_of_a_running_box(kitchen: Kitchen) -> None:
    def announced() -> int:
        messages = kitchen.client.messages[:]
        return sum(message.topic.startswith("homeassistant/") for message in messages)

    # By then the last discovery payloads that were asked for have been published.
    before = -1
    while announced() > before:
        before = announced()
        time.sleep(DISCOVERY_INTERVAL_S + 1)
    done = bachbox("mqtt", "unregister", "--config", kitchen.config, env=kitchen.env)
    assert done.code == 0, done.err
    assert "retained topics removed" in done.out
    assert "is running" in done.err
    with client(kitchen.broker.port) as late:
        late.wait_for(f"{BASE}/availability", "online")
        assert not [h for h in late.messages if h.topic.startswith("homeassistant/")]
    kitchen.change("tempo", "120", "120")
