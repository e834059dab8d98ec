"""Home Assistant finds the box by itself: what it is told by MQTT discovery.

Pure: config topics and payloads, nothing is sent here. The form "entities" announces every
entity by itself, which every Home Assistant understands; the form "device" announces all at once
and needs 2024.11. 2024.3 refuses unknown keys inside ``device`` and ``origin``, so there are
only old ones. ``object_id`` names an entity up to 2026.3, ``default_entity_id`` from 2025.10 on:
both are sent, and each version passes over what it does not know.

Source: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from appliance.frontends.mqtt.messages import ROOT, Topics
from appliance.state.general_midi import NAMES
from appliance.state.settings import (
    EXPRESSION,
    PITCH_HZ,
    TEMPERAMENTS,
    TEMPERATURE,
    TEMPO_BPM,
    TOP_P,
    VOLUME,
    Action,
    Range,
)

BIRTH: Final = "online"
"""What Home Assistant says on ``<prefix>/status`` when it starts."""

_CONFIG: Final = "config"
_DIAGNOSTIC: Final = "diagnostic"

_NOW_PLAYING: Final = (
    "{% if value_json.piece %}Piece {{ value_json.piece }} in {{ value_json.key }}"
    "{% else %}{{ value_json.condition | capitalize }}{% endif %}"
)
_NOW_PLAYING_ATTRIBUTES: Final = (
    "{{ {'condition': value_json.condition, 'piece': value_json.piece, "
    "'model': value_json.model, 'seed': value_json.seed} | tojson }}"
)
"""Not the bar: Home Assistant would write a row to its database every few seconds."""


class DiscoveredDevice(NamedTuple):
    """What is announced."""

    topics: Topics
    name: str
    """The device's name, such as "Bachbox"."""
    version: str
    models: Sequence[str]


class Announcement(NamedTuple):
    """A retained message to Home Assistant; an empty one in its place takes it back."""

    topic: str
    payload: str


def announcements(box: DiscoveredDevice, prefix: str, *, as_device: bool) -> list[Announcement]:
    """What makes the box appear."""
    return _at_once(box, prefix) if as_device else _one_by_one(box, prefix)


def filters(topics: Topics, prefix: str, *, as_device: bool) -> list[str]:
    """What to subscribe to, to see the box's announcements in this form."""
    node = node_of(topics)
    return [f"{prefix}/device/{node}/config" if as_device else f"{prefix}/+/{node}/+/config"]


def node_of(topics: Topics) -> str:
    """The box's name inside Home Assistant's topics and ids."""
    return f"{ROOT}_{topics.id}"


def _one_by_one(box: DiscoveredDevice, prefix: str) -> list[Announcement]:
    shared = {"device": _device(box), "origin": _origin(box)}
    node = node_of(box.topics)
    return [
        Announcement(f"{prefix}/{kind}/{node}/{key}/config", json.dumps(entity | shared))
        for kind, key, entity in _entities(box)
    ]


def _at_once(box: DiscoveredDevice, prefix: str) -> list[Announcement]:
    payload = {
        "device": _device(box),
        "origin": _origin(box),
        "components": {key: {"platform": kind} | entity for kind, key, entity in _entities(box)},
    }
    return [Announcement(f"{prefix}/device/{node_of(box.topics)}/config", json.dumps(payload))]


def _device(box: DiscoveredDevice) -> dict[str, Any]:
    return {
        "identifiers": [node_of(box.topics)],
        "name": box.name,
        "manufacturer": "Bachbox",
        "model": "Plays new Bach",
        "sw_version": box.version,
    }


def _origin(box: DiscoveredDevice) -> dict[str, Any]:
    return {"name": "Bachbox", "sw_version": box.version}


def _entities(box: DiscoveredDevice) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, key and payload of each entity."""
    topics = box.topics
    own_id = topics.id.lower().replace("-", "_")
    # "number.bachbox_tempo" reads better than "number.bachbox_bachbox_tempo".
    spoken = own_id if own_id.startswith(ROOT) else f"{ROOT}_{own_id}"
    for kind, key, name, icon, options in (*_controls(box), *_sensors(topics)):
        yield (
            kind,
            key,
            {
                "name": name,
                "unique_id": f"{node_of(topics)}_{key}",
                "object_id": f"{spoken}_{key}",
                "default_entity_id": f"{kind}.{spoken}_{key}",
                "icon": f"mdi:{icon}",
                "availability_topic": topics.availability,
                **options,
            },
        )


_Row = tuple[str, str, str, str, dict[str, Any]]
"""Kind, key, name, icon, and what only this entity has."""


def _controls(box: DiscoveredDevice) -> Iterator[_Row]:
    topics = box.topics

    def both(key: str, **options: Any) -> dict[str, Any]:
        return {"state_topic": topics.state(key), "command_topic": topics.command(key), **options}

    def number(key: str, allowed: Range, step: float, **options: Any) -> dict[str, Any]:
        span = {"min": allowed.low, "max": allowed.high, "step": step}
        return both(key, **span, mode="slider", **options)

    def action(key: str) -> dict[str, Any]:
        return {"command_topic": topics.command(key), "payload_press": "PRESS"}

    yield "switch", "playing", "Playing", "play-pause", both("playing")
    yield (
        *("number", "tempo", "Tempo", "metronome"),
        number("tempo", TEMPO_BPM, 1, unit_of_measurement="BPM"),
    )
    yield (
        *("number", "volume", "Volume", "volume-high"),
        number("volume", VOLUME, 1, unit_of_measurement="%"),
    )
    yield (
        *("select", "instrument", "Instrument", "piano"),
        both("instrument", options=list(NAMES)),
    )
    yield (
        *("select", "model", "Model", "brain"),
        both("model", options=list(box.models), entity_category=_CONFIG),
    )
    # No device class: this temperature is one of probabilities, not of degrees.
    yield (
        *("number", "temperature", "Temperature", "dice-multiple"),
        number("temperature", TEMPERATURE, 0.01, entity_category=_CONFIG),
    )
    yield (
        *("number", "top_p", "Top-p", "filter-variant"),
        number("top_p", TOP_P, 0.01, entity_category=_CONFIG),
    )
    yield (
        *("number", "expression", "Expression", "chart-bell-curve"),
        number("expression", EXPRESSION, 1, unit_of_measurement="%"),
    )
    yield (
        *("select", "temperament", "Temperament", "tune-variant"),
        both("temperament", options=list(TEMPERAMENTS), entity_category=_CONFIG),
    )
    yield (
        *("number", "pitch", "Concert pitch", "tune"),
        number("pitch", PITCH_HZ, 1, unit_of_measurement="Hz", entity_category=_CONFIG),
    )
    yield "button", Action.NEXT_PIECE.value, "Next piece", "skip-next", action("next_piece")
    yield (
        *("button", Action.RESTART_PIECE.value, "Restart piece", "skip-previous"),
        action("restart_piece"),
    )
    yield (
        *("button", Action.TEST_TONE.value, "Test tone", "volume-source"),
        action("test_tone") | {"entity_category": _DIAGNOSTIC},
    )


def _sensors(topics: Topics) -> Iterator[_Row]:
    def health(template: str, **options: Any) -> dict[str, Any]:
        return {
            "state_topic": topics.health,
            "value_template": f"{{{{ {template} }}}}",
            "entity_category": _DIAGNOSTIC,
            **options,
        }

    yield (
        *("sensor", "now_playing", "Now playing", "music"),
        {
            "state_topic": topics.now_playing,
            "value_template": _NOW_PLAYING,
            "json_attributes_topic": topics.now_playing,
            "json_attributes_template": _NOW_PLAYING_ATTRIBUTES,
        },
    )
    yield (
        *("sensor", "key", "Key", "music-clef-treble"),
        {
            "state_topic": topics.now_playing,
            # None is what Home Assistant calls unknown.
            "value_template": "{{ value_json.key or None }}",
        },
    )
    yield (
        *("sensor", "look_ahead", "Look-ahead", "timer-sand"),
        health(
            "value_json.look_ahead_s | round(1)",
            device_class="duration",
            state_class="measurement",
            unit_of_measurement="s",
        ),
    )
    yield (
        *("sensor", "xruns", "Xruns", "waveform"),
        health("value_json.xruns", state_class="total_increasing"),
    )
    yield (
        *("sensor", "uptime", "Uptime", "timer-outline"),
        # In tenths of an hour, so that it changes (and is stored) 240 times a day only.
        health(
            "(value_json.uptime_s / 3600) | round(1)",
            device_class="duration",
            unit_of_measurement="h",
        ),
    )
