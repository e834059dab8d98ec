"""Discovery payloads, by which Home Assistant finds the box by itself.

Names, icons, ranges and units of the settings come from ``state/settings_ranges_and_steps.py``.

Nothing is sent here. In the form "entities" each entity has a message of its own, which every
version of Home Assistant understands; in the form "device" one message describes all entities,
which needs 2024.11. Version 2024.3 rejects unknown keys inside ``device`` and ``origin``, so only
old keys are used there. ``object_id`` names an entity up to 2026.3, ``default_entity_id`` from
2025.10 on: both are sent, and each version ignores the key that it does not know.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from appliance.frontends.mqtt.homeassistant_sensors import DIAGNOSTIC, Row, sensors, triggers
from appliance.frontends.mqtt.topics import (
    ROOT,
    Topics,
)
from appliance.state.clock_kinds import ClockKind
from appliance.state.given_name_kinds import NOTHING, GivenName
from appliance.state.setting import Setting
from appliance.state.setting_kinds import Number, Switch
from appliance.state.settings import Action, EffectiveSettings
from appliance.state.settings_ranges_and_steps import SETTINGS

BIRTH: Final = "online"
"""The payload that Home Assistant publishes on ``<prefix>/status`` when it starts."""

_CONFIG: Final = "config"

MAX_CLOCK_TEXT: Final = 60
"""Enough for a time and all weekdays by their full names."""

MIGRATE: Final = json.dumps({"migrate_discovery": True})
"""To the topics of the old form: Home Assistant keeps names, areas and history of its entities."""


class DiscoveredDevice(NamedTuple):
    """The box as Home Assistant shows it."""

    topics: Topics
    name: str
    """The device's name, such as "Bachbox"."""
    version: str
    choices: Mapping[str, Sequence[str]]
    page_url: str = ""
    """Where its page is; "": it has none that others can reach."""
    model_titles: Mapping[str, str] = {}
    """What the models are called, by name."""


class DiscoveryMessage(NamedTuple):
    """A retained message to Home Assistant; an empty payload in its place removes the entity."""

    topic: str
    payload: str


def discovery_messages(
    box: DiscoveredDevice, prefix: str, *, as_device: bool
) -> list[DiscoveryMessage]:
    """Return the messages by which Home Assistant discovers ``box``.

    Args:
        box: what to announce.
        prefix: Home Assistant's discovery prefix, usually "homeassistant".
        as_device: use the form "device", one message; otherwise the form "entities".
    """
    node = node_id(box.topics)
    common = {"device": _device(box), "origin": _origin(box)}
    if as_device:
        components = {key: {"platform": kind} | entity for kind, key, entity in _components(box)}
        payload = json.dumps(common | {"components": components})
        return [DiscoveryMessage(f"{prefix}/device/{node}/config", payload)]
    return [
        DiscoveryMessage(f"{prefix}/{kind}/{node}/{key}/config", json.dumps(entity | common))
        for kind, key, entity in _components(box)
    ]


def discovery_filters(topics: Topics, prefix: str, *, as_device: bool) -> list[str]:
    """Return the topic filters that match the box's discovery messages in one of the forms."""
    node = node_id(topics)
    return [f"{prefix}/device/{node}/config" if as_device else f"{prefix}/+/{node}/+/config"]


def options_in_use(
    choices: Mapping[str, Sequence[str]], values: EffectiveSettings
) -> dict[str, list[str]]:
    """Return ``choices`` by setting, with each current value among them.

    A model given by its path is not listed, and a state has to be one of the options.
    """
    return {
        name: list(dict.fromkeys([*names, str(getattr(values, name))]))
        for name, names in choices.items()
    }


def node_id(topics: Topics) -> str:
    """Return the box's name inside Home Assistant's topics and unique IDs."""
    return f"{ROOT}_{topics.id}"


def _device(box: DiscoveredDevice) -> dict[str, Any]:
    link = {"configuration_url": box.page_url} if box.page_url else {}
    return link | {
        "identifiers": [node_id(box.topics)],
        "name": box.name,
        "manufacturer": "Bachbox",
        "model": "Plays new Bach",
        "sw_version": box.version,
    }


def _origin(box: DiscoveredDevice) -> dict[str, Any]:
    # Who needs help finds the log and the tests on the health page.
    support = {"support_url": f"{box.page_url}health"} if box.page_url else {}
    return {"name": "Bachbox", "sw_version": box.version, **support}


def _components(box: DiscoveredDevice) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield kind, key and payload of each entity and device trigger."""
    yield from _entities(box)
    for key, trigger in triggers(box.topics):
        yield "device_automation", key, trigger


def _entities(box: DiscoveredDevice) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield component kind, key and payload of each entity."""
    topics = box.topics
    box_id = topics.id.lower().replace("-", "_")
    # "number.bachbox_tempo" reads better than "number.bachbox_bachbox_tempo".
    prefix = box_id if box_id.startswith(ROOT) else f"{ROOT}_{box_id}"
    for kind, key, name, icon, options in (*_settings(box), *_actions(topics), *sensors(topics)):
        yield (
            kind,
            key,
            {
                "name": name,
                "unique_id": f"{node_id(topics)}_{key}",
                "object_id": f"{prefix}_{key}",
                "default_entity_id": f"{kind}.{prefix}_{key}",
                "icon": f"mdi:{icon}",
                "availability_topic": topics.availability,
                **options,
            },
        )


def _settings(box: DiscoveredDevice) -> Iterator[Row]:
    for setting in SETTINGS:
        component, options = _component(setting, box.choices)
        if setting.name == "model":
            titles = box.model_titles.items()
            options |= _shown_as(
                {name: f"{name}: {title}" for name, title in titles if title}, options["options"]
            )
        elif isinstance(setting.kind, GivenName):
            # Home Assistant takes the payload "none" for "unknown".
            options |= _shown_as({NOTHING: "(none)"}, options["options"])
        options["state_topic"] = box.topics.state(setting.name)
        options["command_topic"] = box.topics.command(setting.name)
        if setting.advanced:
            options["entity_category"] = _CONFIG
        yield component, setting.name, setting.title, setting.icon, options


def _component(
    setting: Setting, choices: Mapping[str, Sequence[str]]
) -> tuple[str, dict[str, Any]]:
    """Return the component kind of a setting and the keys that this kind needs."""
    kind = setting.kind
    if isinstance(kind, Switch):
        return "switch", {}
    if isinstance(kind, Number):
        options = {"min": kind.low, "max": kind.high, "step": kind.grain, "mode": "slider"}
        if kind.symbol:
            options["unit_of_measurement"] = kind.symbol
        return "number", options
    if isinstance(kind, ClockKind):
        return "text", {"pattern": f"^({kind.pattern})$", "max": MAX_CLOCK_TEXT}
    values = kind.options(choices.get(setting.name, ()))
    return "select", {"options": [kind.show(value) for value in values]}


def _shown_as(shown: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    """Return the keys of a select of ``names``, some ``shown`` otherwise than its topics say."""
    named = {text: name for name, text in shown.items()}
    return {
        "options": [shown.get(name, name) for name in names],
        "value_template": f"{{{{ {json.dumps(shown)}.get(value, value) }}}}",
        "command_template": f"{{{{ {json.dumps(named)}.get(value, value) }}}}",
    }


_ACTIONS: Final[dict[Action, tuple[str, str, dict[str, Any]]]] = {
    Action.NEXT_PIECE: ("Next piece", "skip-next", {}),
    Action.RESTART_PIECE: ("Restart piece", "skip-previous", {}),
    Action.SAVE: ("Save piece", "content-save", {}),
    Action.MODEL_DEFAULTS: ("Model's defaults", "restore", {"entity_category": _CONFIG}),
    Action.TEST_TONE: ("Test tone", "volume-source", {"entity_category": DIAGNOSTIC}),
}
"""Name, icon and further keys of each button."""


def _actions(topics: Topics) -> Iterator[Row]:
    for action, (name, icon, options) in _ACTIONS.items():
        button = {"command_topic": topics.command(action), "payload_press": "PRESS"}
        yield "button", action.value, name, icon, button | options
