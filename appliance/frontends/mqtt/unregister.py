"""Remove a box from the broker: ``bachbox mqtt unregister``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from paho.mqtt.client import MQTTMessage

from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.client import MqttClient, broker_of, connected, topics_of
from appliance.frontends.mqtt.payloads import ONLINE

TIMEOUT_S: Final = 5.0
"""How long the broker may take for each step."""

REMOVAL_S: Final = 1.0
"""How long Home Assistant may take to remove an entity."""

QUIET_S: Final = 0.5
"""A broker sends retained messages at once; after such a pause it has sent them all."""


class Unregistered(NamedTuple):
    """What was removed."""

    id: str
    topics: int
    """The number of retained messages that were deleted."""
    still_running: bool
    """The box is online; it keeps its own topics and will announce itself again."""


def unregister(config: Mqtt) -> Unregistered:
    """Delete the retained messages of the box that ``config`` names.

    Home Assistant removes its entities then. Blocks for some seconds.

    Raises:
        BachboxError: the broker cannot be reached or refuses to do it.
    """
    topics = topics_of(config)
    filters = [f"{topics.base}/#"]
    for as_device in (False, True):
        filters += homeassistant.discovery_filters(
            topics, config.discovery_prefix, as_device=as_device
        )
    with connected(broker_of(config), "unregister", TIMEOUT_S) as client:
        retained = _retained(client, filters)
        running = retained.get(topics.availability) == ONLINE.encode()
        box_topics = {topic for topic in retained if topic.startswith(f"{topics.base}/")}
        discovery_topics = sorted(retained.keys() - box_topics)
        state_topics = [] if running else sorted(box_topics)
        _delete(client, discovery_topics)
        if discovery_topics and state_topics:
            # An entity that still exists would take its deleted state for a new one.
            time.sleep(REMOVAL_S)
        _delete(client, state_topics)
    return Unregistered(topics.id, len(discovery_topics) + len(state_topics), running)


def _retained(client: MqttClient, filters: Sequence[str]) -> dict[str, bytes]:
    """Return the retained messages that match ``filters``: payloads by topic."""
    retained: dict[str, bytes] = {}
    last_message = time.monotonic()

    def on_message(_client: Any, _data: Any, message: MQTTMessage) -> None:
        nonlocal last_message
        last_message = time.monotonic()
        if message.retain:
            retained[message.topic] = bytes(message.payload)

    client.on_message = on_message
    client.subscribe([(topic, 0) for topic in filters])
    while time.monotonic() - last_message < QUIET_S:
        time.sleep(QUIET_S / 10)
    return dict(retained)


def _delete(client: MqttClient, topics: Sequence[str]) -> None:
    for topic in topics:
        # QoS 1, to know that the broker did it.
        info = client.publish(topic, "", qos=1, retain=True)
        try:
            info.wait_for_publish(TIMEOUT_S)
            deleted = info.is_published()
        except (RuntimeError, ValueError):
            deleted = False
        if not deleted:
            raise BachboxError(f"the broker did not confirm that it deleted {topic}")
