"""Discovery payloads are valid in every supported version of Home Assistant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from paho.mqtt.client import topic_matches_sub

from appliance.frontends.box_events import BoxEvent
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.homeassistant import DiscoveredDevice
from appliance.frontends.mqtt.topics import Topics
from appliance.state.settings import NAMES, Action

CHOICES = {
    "model": ["chorales", "fugues"],
    "output": ["default", "Headphones", "null"],
    "soundfont": ["default", "FluidR3_GM"],
}
BOX = DiscoveredDevice(Topics("kitchen", "all"), "Bachbox kitchen", "1.2.3", CHOICES)

OLD_DEVICE_KEYS = {
    *("identifiers", "connections", "manufacturer", "model", "name", "serial_number"),
    *("hw_version", "sw_version", "suggested_area", "via_device", "configuration_url"),
}
"""The keys that 2024.3 knows; it rejects the whole payload for any other."""


def entities() -> dict[str, dict[str, Any]]:
    found = homeassistant.discovery_messages(BOX, "homeassistant", as_device=False)
    return {a.topic: json.loads(a.payload) for a in found if a.payload}


def test_every_setting_and_action_is_an_entity() -> None:
    commands = {e["command_topic"] for e in entities().values() if "command_topic" in e}
    assert commands == {f"bachbox/kitchen/{name}/set" for name in (*NAMES, *Action)}
    assert {topic.split("/")[1] for topic in entities()} == {
        *("switch", "number", "select", "text", "button", "sensor"),
        *("binary_sensor", "event", "image", "device_automation"),
    }


def test_an_option_shows_the_models_title_and_its_topics_the_name() -> None:
    titled = BOX._replace(model_titles={"chorales": 'The "Chorales"'})
    found = homeassistant.discovery_messages(titled, "homeassistant", as_device=False)
    [select] = [
        json.loads(m.payload) for m in found if "/select/" in m.topic and "/model/" in m.topic
    ]
    assert select["options"] == ['chorales: The "Chorales"', "fugues"]
    for template, said, meant in [
        ("value_template", "chorales", 'chorales: The "Chorales"'),
        ("command_template", 'chorales: The "Chorales"', "chorales"),
        ("value_template", "fugues", "fugues"),
        ("value_template", "other", "other"),
    ]:
        # The templates are Jinja: a mapping and a call, as in Python.
        expression = select[template].removeprefix("{{").removesuffix("}}").strip()
        assert eval(expression, {"value": said}) == meant


def test_that_no_scene_applies_is_a_word_that_home_assistant_does_not_take_for_unknown() -> None:
    for name in ("scene", "saved_piece", "wake_scene"):
        select = entities()[f"homeassistant/select/bachbox_kitchen/{name}/config"]
        assert select["options"] == ["(none)"]
        for template, said, meant in [
            ("value_template", "none", "(none)"),
            ("value_template", "Mine", "Mine"),
            ("command_template", "(none)", "none"),
        ]:
            expression = select[template].removeprefix("{{").removesuffix("}}").strip()
            assert eval(expression, {"value": said}) == meant


def test_no_two_entities_share_a_key() -> None:
    [device] = homeassistant.discovery_messages(BOX, "homeassistant", as_device=True)
    assert len(json.loads(device.payload)["components"]) == len(entities())


def test_the_page_is_linked_where_others_can_reach_it() -> None:
    def announced(box: DiscoveredDevice) -> dict[str, Any]:
        [message] = homeassistant.discovery_messages(box, "homeassistant", as_device=True)
        return dict(json.loads(message.payload))

    linked = announced(BOX._replace(page_url="http://box.local:8080/"))
    assert linked["device"]["configuration_url"] == "http://box.local:8080/"
    assert linked["origin"]["support_url"] == "http://box.local:8080/health"
    assert "configuration_url" not in announced(BOX)["device"]


@pytest.mark.parametrize("topic", entities())
def test_an_entity_is_complete_and_valid_in_2024_3(topic: str) -> None:
    entity = entities()[topic]
    prefix, kind, node, key, config = topic.split("/")
    assert (prefix, node, config) == ("homeassistant", "bachbox_kitchen", "config")
    if kind == "device_automation":
        assert entity["payload"] in list(BoxEvent)
        assert entity["topic"] == "bachbox/kitchen/event"
        return
    assert entity["unique_id"] == f"bachbox_kitchen_{key}"
    assert entity["default_entity_id"] == f"{kind}.{entity['object_id']}"
    assert entity["availability_topic"] == "bachbox/kitchen/availability"
    assert entity["icon"].startswith("mdi:")
    assert entity["device"].keys() <= OLD_DEVICE_KEYS
    assert entity["origin"].keys() <= {"name", "sw_version", "support_url"}
    assert "retain" not in entity
    if kind == "number":
        assert entity["step"] >= 0.001
        assert entity["min"] < entity["max"]
    # Home Assistant puts the device's name before it.
    assert not entity["name"].startswith("Bachbox")


def test_the_device_form_has_the_same_entities_in_one_message() -> None:
    [device] = homeassistant.discovery_messages(BOX, "homeassistant", as_device=True)
    assert device.topic == "homeassistant/device/bachbox_kitchen/config"
    payload = json.loads(device.payload)
    for topic, alone in entities().items():
        _, kind, _, key, _ = topic.split("/")
        together = payload["components"][key] | {
            "device": payload["device"],
            "origin": payload["origin"],
        }
        assert together == alone | {"platform": kind}


@pytest.mark.parametrize("as_device", [False, True])
def test_the_filters_match_the_messages_of_their_form(as_device: bool) -> None:
    [wanted] = homeassistant.discovery_filters(BOX.topics, "homeassistant", as_device=as_device)
    for form in (False, True):
        for announcement in homeassistant.discovery_messages(BOX, "homeassistant", as_device=form):
            assert topic_matches_sub(wanted, announcement.topic) == (form == as_device)


def test_the_name_stands_in_an_id_once() -> None:
    named = DiscoveredDevice(Topics("bachbox-2"), "Bachbox bachbox-2", "1", CHOICES)
    found = homeassistant.discovery_messages(named, "homeassistant", as_device=False)
    ids = {json.loads(a.payload).get("object_id") for a in found}
    assert "bachbox_2_tempo" in ids
