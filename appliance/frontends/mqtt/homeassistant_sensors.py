"""What Home Assistant shows of the box besides its settings: sensors, events, triggers, a picture.

Source: https://www.home-assistant.io/integrations/mqtt/#configuration
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from appliance.frontends.box_events import TITLES, BoxEvent
from appliance.frontends.mqtt.topics import Topics

Row = tuple[str, str, str, str, dict[str, Any]]
"""Component kind, key, name, icon, and the keys that only this entity has."""

DIAGNOSTIC: Final = "diagnostic"

_NOW_PLAYING: Final = (
    "{% if value_json.piece %}{{ value_json.title }}"
    "{% else %}{{ value_json.condition | replace('_', ' ') | capitalize }}{% endif %}"
)
_NOW_PLAYING_ATTRIBUTES: Final = (
    "{{ {'condition': value_json.condition, 'piece': value_json.piece, "
    "'model': value_json.model, 'seed': value_json.seed} | tojson }}"
)
"""Without the bar: Home Assistant would write a row to its database every few seconds."""

_TROUBLE: Final = (
    "{{ 'ON' if value_json.problem or value_json.condition == 'no_sound_card' else 'OFF' }}"
)


def sensors(topics: Topics) -> Iterator[Row]:
    """Yield the entities that only show something."""
    yield from _music(topics)
    yield from _health(topics)
    yield (
        *("event", "event", "Event", "music-note-plus"),
        {"state_topic": topics.event, "event_types": [str(event) for event in BoxEvent]},
    )
    yield (
        *("image", "piano_roll", "Piano roll", "piano"),
        {"image_topic": topics.piano_roll, "content_type": "image/svg+xml"},
    )


def triggers(topics: Topics) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield key and payload of each device trigger, for automations without a template."""
    for event in BoxEvent:
        yield (
            f"trigger_{event}",
            {
                "automation_type": "trigger",
                "type": str(event),
                "subtype": TITLES[event],
                "topic": topics.event,
                "payload": str(event),
                "value_template": "{{ value_json.event_type }}",
            },
        )


def _music(topics: Topics) -> Iterator[Row]:
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
        *("sensor", "current_key", "Current key", "music-clef-treble"),
        {
            "state_topic": topics.now_playing,
            # Home Assistant shows None as "unknown".
            "value_template": "{{ value_json.key or None }}",
        },
    )
    yield (
        *("binary_sensor", "trouble", "Trouble", "alert-circle-outline"),
        {
            "state_topic": topics.now_playing,
            "value_template": _TROUBLE,
            "device_class": "problem",
            "entity_category": DIAGNOSTIC,
            "json_attributes_topic": topics.now_playing,
            "json_attributes_template": "{{ {'problem': value_json.problem} | tojson }}",
        },
    )


def _health(topics: Topics) -> Iterator[Row]:
    def health(template: str, **options: Any) -> dict[str, Any]:
        return {
            "state_topic": topics.health,
            "value_template": f"{{{{ {template} }}}}",
            "entity_category": DIAGNOSTIC,
            **options,
        }

    yield (
        *("sensor", "look_ahead", "Look-ahead", "timer-sand"),
        health(
            "value_json.look_ahead_s | round(1)",
            device_class="duration",
            state_class="measurement",
            unit_of_measurement="s",
            suggested_display_precision=1,
        ),
    )
    yield (
        *("sensor", "xruns", "Xruns", "waveform"),
        health("value_json.xruns", state_class="total_increasing"),
    )
    yield (
        # A timestamp does not change, so Home Assistant stores it once.
        *("sensor", "started", "Started", "timer-outline"),
        health("value_json.started_at", device_class="timestamp"),
    )
