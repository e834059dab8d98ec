"""The real Home Assistant with a running box; `make test-homeassistant` runs this.

Not part of `make test`: it needs Home Assistant in an environment of its own. ``HASS`` is the path
of its program ``hass``.
"""

from __future__ import annotations

import functools
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import Browser, expect

from appliance.frontends.box_events import BoxEvent
from appliance.frontends.mqtt.mqtt_frontend import MIGRATION_S
from appliance.state.clock_kinds import HoursOfDay, TimeOfDay
from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Action
from appliance.state.settings_ranges_and_steps import SETTINGS
from tests.support.broker import broker, client
from tests.support.browser import chromium
from tests.support.command import bachbox, home, playing
from tests.support.home_assistant import DOCUMENTS, HomeAssistant, home_assistant, until

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
    """Names, entity IDs, area and history are kept; events, picture, blueprint and card work."""
    env, folder = home(tmp_path), tmp_path / "home-assistant"
    folder.mkdir()
    config = tmp_path / "bachbox.toml"
    card = (DOCUMENTS / "card.yaml").read_text()
    shown = set(re.findall(r"[a-z]+\.bachbox_\w+", card))
    tempo, playing_switch = "number.bachbox_kitchen_tempo", "switch.bachbox_kitchen_playing"
    area, tempos = "", ["unknown"]
    with (
        broker(tmp_path) as server,
        home_assistant(folder) as assistant,
        chromium() as browser,
    ):
        for form in ("entities", "device", "entities"):
            config.write_text(
                '[sound]\noutput = "null"\n[web]\nhost = ""\nport = 0\n'
                '[mqtt]\nhost = "127.0.0.1"\nid = "kitchen"\n'
                f'port = {server.port}\ndiscovery = "{form}"\n'
            )
            with playing("--config", config, env=env) as box:
                box.wait_for("connected to the broker")
                if not area:
                    assistant.set_up(server.port)
                    until(lambda: tempo in assistant.states(), assistant.states)
                    area = _name_and_place(assistant, tempo)
                until(
                    lambda: shown <= {
                        name for name, state in assistant.states().items() if state != "unavailable"
                    },
                    assistant.states,
                )  # fmt: skip
                # Longer than it takes to leave the other form.
                time.sleep(2 * MIGRATION_S)
                [entry] = assistant.ask({"type": "config/entity_registry/get", "entity_id": tempo})
                assert entry["name"] == "Speed"
                assert len(assistant.states()) == ENTITIES, sorted(assistant.states())
                [device] = [
                    one
                    for one in assistant.ask({"type": "config/device_registry/list"})[0]
                    if one["id"] == entry["device_id"]
                ]
                assert device["area_id"] == area
                tempos.append(str(100 + len(tempos)))
                assistant.call_service("number/set_value", tempo, value=tempos[-1])
                until(
                    lambda: set(tempos[1:]) <= set(assistant.history(tempo)),
                    lambda: assistant.history(tempo),
                )
                _check_card(assistant, browser, yaml.safe_load(card), len(shown))
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


def _name_and_place(assistant: HomeAssistant, entity: str) -> str:
    """Rename ``entity``, and put its device into a new area; return the area's ID."""
    update = {"type": "config/entity_registry/update", "entity_id": entity}
    entry, area = assistant.ask(
        update | {"name": "Speed", "icon": "mdi:run"},
        {"type": "config/area_registry/create", "name": "Music room"},
    )
    device = {"device_id": entry["entity_entry"]["device_id"], "area_id": area["area_id"]}
    assistant.ask({"type": "config/device_registry/update"} | device)
    return str(area["area_id"])


def _check_card(
    assistant: HomeAssistant, browser: Browser, card: dict[str, Any], entities: int
) -> None:
    """The card shows all its entities in a real dashboard, whose switch works."""
    playing_switch = "switch.bachbox_kitchen_playing"
    with assistant.dashboard(browser, card) as one:
        shown = "hui-picture-entity-card, hui-generic-entity-row, hui-button-card"
        expect(one.locator(shown)).to_have_count(entities)
        picture = one.locator("hui-picture-entity-card img").element_handle()
        one.wait_for_function("(picture) => picture.naturalWidth > 0", arg=picture)
        for state in ("off", "on"):
            one.locator("hui-toggle-entity-row ha-switch").click()
            until(functools.partial(_has_state, assistant, playing_switch, state), assistant.states)
        # Where a card or an entity is not accepted or not there.
        assert not one.locator("hui-error-card, hui-warning").count()


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
