"""The real Home Assistant with a running box; `make test-homeassistant` runs this.

Not part of `make test`: it needs Home Assistant in an environment of its own. ``HASS`` is the path
of its program ``hass``. It is set up through its HTTP API: a user, then the MQTT integration.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from appliance.frontends.box_events import BoxEvent
from appliance.frontends.mqtt.mqtt_frontend import MIGRATION_S
from appliance.state.clock_kinds import HoursOfDay, TimeOfDay
from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Action
from appliance.state.settings_table import SETTINGS
from tests.support.broker import broker, client, free_port
from tests.support.command import bachbox, home, playing

_TIMEOUT_S = 600.0
"""To end a test that hangs; Home Assistant takes minutes to start on a busy machine."""

BLUEPRINT = "bach_when_somebody_is_home.yaml"

DOCUMENTS = Path(__file__).parents[2] / "docs" / "homeassistant"

_KINDS = {Switch: "switch", Number: "number", TimeOfDay: "text", HoursOfDay: "text"}

WITH_STATE: dict[str, list[str]] = {
    "sensor": ["now_playing", "current_key", "look_ahead", "xruns", "started"],
    "binary_sensor": ["trouble"],
    "image": ["piano_roll"],
}
for _setting in SETTINGS:
    WITH_STATE.setdefault(_KINDS.get(type(_setting.kind), "select"), []).append(_setting.name)
BUTTONS = [str(action) for action in Action]
ENTITIES = sum(map(len, WITH_STATE.values())) + len(BUTTONS) + 1
"""And the event entity, whose state is unknown until something happens."""


def until(what: Callable[[], object], why: Callable[[], object] = lambda: "") -> None:
    """Wait until ``what`` returns true."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)


class HomeAssistant:
    """A Home Assistant that the test controls."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._log = folder / "home-assistant.out"
        self._token = ""
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self._port}\n"
            "input_boolean:\n  somebody:\nautomation: !include automations.yaml\n"
        )
        blueprint = folder / "blueprints" / "automation" / "bachbox" / BLUEPRINT
        blueprint.parent.mkdir(parents=True)
        blueprint.write_text((DOCUMENTS / BLUEPRINT).read_text())
        (folder / "automations.yaml").write_text(
            f"- use_blueprint:\n    path: bachbox/{BLUEPRINT}\n    input:\n"
            "      sensor: input_boolean.somebody\n"
            "      playing: switch.bachbox_kitchen_playing\n      wait: { seconds: 1 }\n"
        )

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [os.environ["HASS"], "--skip-pip", "-c", str(self._folder)], stdout=log, stderr=log
            )
        until(self._answers, self._log.read_text)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_TIMEOUT_S)

    def set_up(self, broker_port: int) -> None:
        """Create the first user and the MQTT integration."""
        person = {"name": "Tester", "username": "tester", "password": "turn-everything"}
        code = self.call(
            "/api/onboarding/users", person | {"client_id": f"{self._url}/", "language": "en"}
        )["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": f"{self._url}/"}
        form = urllib.parse.urlencode(grant).encode()
        self._token = self.call("/auth/token", form)["access_token"]
        flow = self.call("/api/config/config_entries/flow", {"handler": "mqtt"})["flow_id"]
        answers = {"broker": "127.0.0.1", "port": broker_port}
        made = self.call(f"/api/config/config_entries/flow/{flow}", answers)
        assert made["type"] == "create_entry", made

    def call(self, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def states(self) -> dict[str, str]:
        """Return the states of the box's entities, by entity ID."""
        return {
            one["entity_id"]: one["state"]
            for one in self.call("/api/states")
            if ".bachbox_kitchen_" in one["entity_id"]
        }

    def ask(self, *commands: dict[str, Any]) -> list[Any]:
        """Return the results of ``commands`` to the WebSocket API."""

        async def talk() -> list[Any]:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self._url}/api/websocket") as socket,
            ):
                await socket.receive_json()
                await socket.send_json({"type": "auth", "access_token": self._token})
                assert (await socket.receive_json())["type"] == "auth_ok"
                results = []
                for number, command in enumerate(commands, 1):
                    await socket.send_json({"id": number, **command})
                    answer = await socket.receive_json()
                    assert answer["success"], answer
                    results.append(answer["result"])
                return results

        return asyncio.run(talk())

    def get(self, path: str) -> bytes:
        """Return what is at ``path``, such as a picture."""
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._url + path, None, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def call_service(self, service: str, entity: str, **data: object) -> None:
        self.call(f"/api/services/{service}", {"entity_id": entity, **data})

    @property
    def problems(self) -> list[str]:
        """The warnings and errors that it has logged about MQTT or Bachbox."""
        return [
            line
            for line in self._log.read_text().splitlines()
            if re.search(r"WARNING|ERROR", line)
            and re.search(r"mqtt|bachbox", line, re.IGNORECASE)
            # Expected when the test stops the broker or the box.
            and "Disconnected from MQTT server" not in line
            and "Failed to connect to MQTT server" not in line
            # Said once, when the form "device" is left and nothing of it remains.
            and "No device components to cleanup" not in line
        ]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(f"{self._url}/manifest.json", timeout=5):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def home_assistant(folder: Path) -> Iterator[HomeAssistant]:
    one = HomeAssistant(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.mark.parametrize("discovery", os.environ.get("DISCOVERY", "entities").split())
def test_entities_show_and_change_every_setting(tmp_path: Path, discovery: str) -> None:
    env = home(tmp_path)
    config = tmp_path / "bachbox.toml"
    folder = tmp_path / "home-assistant"
    folder.mkdir()
    with (
        broker(tmp_path) as server,
        client(server.port) as listener,
        home_assistant(folder) as assistant,
    ):
        config.write_text(
            '[sound]\noutput = "null"\n'
            '[mqtt]\nhost = "127.0.0.1"\nid = "kitchen"\n'
            f'port = {server.port}\ndiscovery = "{discovery}"\n'
        )

        def status() -> dict[str, Any]:
            return dict(json.loads(bachbox("status", "--json", env=env).out))

        def settings() -> dict[str, Any]:
            return dict(status()["settings"])

        def setting_is(key: str, value: object) -> Callable[[], bool]:
            return lambda: bool(settings()[key] == value)

        def state_is(entity: str, state: str) -> Callable[[], bool]:
            return lambda: assistant.states()[entity] == state

        def rewound_since(count: int) -> Callable[[], bool]:
            return lambda: bool(status()["health"]["rewinds"] > count)

        def all_there() -> bool:
            states = assistant.states()
            return len(states) == ENTITIES and all(
                states.get(f"{kind}.bachbox_kitchen_{key}", "unknown")
                not in ("unknown", "unavailable")
                for kind, keys in WITH_STATE.items()
                for key in keys
            )

        with playing("--config", config, "--tempo", "90", env=env) as box:
            box.wait_for("connected to the broker")
            assistant.set_up(server.port)
            until(all_there, assistant.states)
            states = assistant.states()
            assert states["number.bachbox_kitchen_tempo"] == "90"
            assert states["switch.bachbox_kitchen_playing"] == "on"
            assert states["select.bachbox_kitchen_model"].startswith("chorales: ")
            assert states["binary_sensor.bachbox_kitchen_trouble"] == "off"
            assert states["sensor.bachbox_kitchen_now_playing"].startswith("Chorale in ")
            assert states["sensor.bachbox_kitchen_xruns"] == "0"
            for button in BUTTONS:
                assert states[f"button.bachbox_kitchen_{button}"] == "unknown"

            for key, value in [
                *(("tempo", 123), ("volume", 33), ("temperature", 1.25), ("top_p", 0.71)),
                *(("expression", 45), ("pitch", 415), ("sleep", 90), ("alto_level", 30)),
            ]:
                assistant.call_service(
                    "number/set_value", f"number.bachbox_kitchen_{key}", value=value
                )
                until(setting_is(key, value), settings)
                until(state_is(f"number.bachbox_kitchen_{key}", f"{value:g}"), assistant.states)
            for key, option in [
                ("instrument", "Lead 8 (bass + lead)"), ("temperament", "vallotti"),
            ]:  # fmt: skip
                assistant.call_service(
                    "select/select_option", f"select.bachbox_kitchen_{key}", option=option
                )
                until(setting_is(key, option), settings)
                until(state_is(f"select.bachbox_kitchen_{key}", option), assistant.states)
            for key, text in [("wake_time", "07:00 Mon Tue"), ("quiet_hours", "02:00-02:01")]:
                assistant.call_service("text/set_value", f"text.bachbox_kitchen_{key}", value=text)
                until(setting_is(key, text), settings)
                until(state_is(f"text.bachbox_kitchen_{key}", text), assistant.states)
            for turn, on in (("off", False), ("on", True)):
                assistant.call_service(f"switch/turn_{turn}", "switch.bachbox_kitchen_playing")
                until(setting_is("playing", on), settings)
                until(state_is("switch.bachbox_kitchen_playing", turn), assistant.states)
            for button in BUTTONS:
                before = status()["health"]["rewinds"]
                assistant.call_service("button/press", f"button.bachbox_kitchen_{button}")
                if button in ("next_piece", "restart_piece"):
                    until(rewound_since(before), status)

            # The button "Save piece" has kept one: its name is an option now.
            def options(entity: str) -> list[str]:
                [found] = [one for one in assistant.call("/api/states")
                           if one["entity_id"] == entity]  # fmt: skip
                return list(found["attributes"]["options"])

            saved, scene = "select.bachbox_kitchen_saved_piece", "select.bachbox_kitchen_scene"
            until(lambda: len(options(saved)) == 2, lambda: options(saved))
            none, name = options(saved)
            for entity, option in [(saved, name), (saved, none), (scene, options(scene)[1])]:
                key = entity.removeprefix("select.bachbox_kitchen_")
                assistant.call_service("select/select_option", entity, option=option)
                until(setting_is(key, "none" if option == none else option), settings)
                until(state_is(entity, option), assistant.states)
            assistant.call_service("select/select_option", scene, option=none)
            until(state_is(scene, none), assistant.states)

            # Changes by other frontends are shown.
            assert bachbox("set", "tempo=66", "instrument=oboe", env=env).code == 0
            until(state_is("number.bachbox_kitchen_tempo", "66"), assistant.states)
            until(state_is("select.bachbox_kitchen_instrument", "Oboe"), assistant.states)

            # After a restart of Home Assistant, everything is back.
            assistant.stop()
            assistant.start()
            until(all_there, assistant.states)

            # After a power cut, the entities are unavailable: the broker has sent the last will.
            box.process.kill()
            until(lambda: set(assistant.states().values()) == {"unavailable"}, assistant.states)

        with playing("--config", config, env=env) as box:
            until(all_there, assistant.states)
            assert assistant.states()["number.bachbox_kitchen_tempo"] == "66"
            assert box.end() == 0
            assert box.counts()["performer"] == 0
        until(lambda: set(assistant.states().values()) == {"unavailable"}, assistant.states)
        assert bachbox("mqtt", "unregister", "--config", config, env=env).code == 0
        until(lambda: not assistant.states(), assistant.states)
        assert not listener.last("bachbox/kitchen/error")
        assert assistant.problems == []


def test_entities_survive_a_change_of_the_discovery_form(tmp_path: Path) -> None:
    """Names and entity IDs are kept; events, picture, blueprint and card work in both forms."""
    env, folder = home(tmp_path), tmp_path / "home-assistant"
    folder.mkdir()
    config = tmp_path / "bachbox.toml"
    card = set(re.findall(r"[a-z]+\.bachbox_\w+", (DOCUMENTS / "card.yaml").read_text()))
    tempo, playing_switch = "number.bachbox_kitchen_tempo", "switch.bachbox_kitchen_playing"
    with broker(tmp_path) as server, home_assistant(folder) as assistant:
        is_set_up = False
        for form in ("entities", "device", "entities"):
            config.write_text(
                '[sound]\noutput = "null"\n[web]\nhost = ""\nport = 0\n'
                '[mqtt]\nhost = "127.0.0.1"\nid = "kitchen"\n'
                f'port = {server.port}\ndiscovery = "{form}"\n'
            )
            with playing("--config", config, env=env) as box:
                box.wait_for("connected to the broker")
                if not is_set_up:
                    is_set_up = True
                    assistant.set_up(server.port)
                    until(lambda: tempo in assistant.states(), assistant.states)
                    assistant.ask(
                        {
                            "type": "config/entity_registry/update",
                            "entity_id": tempo,
                            "name": "Speed",
                            "icon": "mdi:run",
                        }
                    )
                until(
                    lambda: card <= {
                        name for name, state in assistant.states().items() if state != "unavailable"
                    },
                    assistant.states,
                )  # fmt: skip
                # Longer than it takes to leave the other form.
                time.sleep(2 * MIGRATION_S)
                [entry] = assistant.ask({"type": "config/entity_registry/get", "entity_id": tempo})
                assert entry["name"] == "Speed"
                assert len(assistant.states()) == ENTITIES, sorted(assistant.states())
                _check_events(assistant, entry["device_id"])
                for turn in ("on", "off", "on"):
                    assistant.call_service(f"input_boolean/turn_{turn}", "input_boolean.somebody")
                    until(
                        functools.partial(_has_state, assistant, playing_switch, turn),
                        assistant.states,
                    )
                assert box.end() == 0
                assert box.counts()["performer"] == 0
        assert assistant.problems == []


def _has_state(assistant: HomeAssistant, entity: str, state: str) -> bool:
    return assistant.states()[entity] == state


def _check_events(assistant: HomeAssistant, device: str) -> None:
    event = "event.bachbox_kitchen_event"
    before = assistant.states()[event]
    assistant.call_service("button/press", "button.bachbox_kitchen_next_piece")
    until(lambda: assistant.states()[event] != before, assistant.states)
    [triggers] = assistant.ask({"type": "device_automation/trigger/list", "device_id": device})
    types = {one["type"] for one in triggers if one["domain"] == "mqtt"}
    assert types == {str(event) for event in BoxEvent}
    [picture] = [
        one["attributes"]["entity_picture"]
        for one in assistant.call("/api/states")
        if one["entity_id"] == "image.bachbox_kitchen_piano_roll"
    ]
    assert assistant.get(picture).startswith(b"<svg ")
