"""Taking a box away from the broker: ``bachbox mqtt forget``."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from typing import Any, Final, NamedTuple

from paho.mqtt.client import MQTTMessage

from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.connection import client_for, refusal
from appliance.frontends.mqtt.messages import ONLINE, Topics, identity
from appliance.frontends.mqtt.session import broker_of

TIMEOUT_S: Final = 5.0
"""How long the broker may take for each step."""

REMOVAL_S: Final = 1.0
"""How long Home Assistant may take to part with an entity."""

QUIET_S: Final = 0.5
"""What a broker has retained it sends at once; after such a pause it has sent all."""


class Forgotten(NamedTuple):
    """What has been taken away."""

    id: str
    topics: int
    """Retained messages that are gone."""
    still_running: bool
    """The box said that it is online; it keeps its own topics, and will announce itself again."""


def forget(config: Mqtt) -> Forgotten:
    """Take the box that ``config`` names away from the broker, and so from Home Assistant.

    Raises:
        BachboxError: the broker cannot be reached or does not let us do it.
    """
    topics = Topics(identity(config.id))
    # Under the box's own name we would push a running one off the broker.
    broker = replace(broker_of(config), client_id=f"bachbox-forget-{os.getpid()}")
    troubles: list[str] = []
    answered, retained = threading.Event(), dict[str, bytes]()
    last_heard = time.monotonic()

    def on_connect(_client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            troubles.append(refusal(broker, str(reason)))
        answered.set()

    def on_message(_client: Any, _data: Any, message: MQTTMessage) -> None:
        nonlocal last_heard
        last_heard = time.monotonic()
        if message.retain:
            retained[message.topic] = bytes(message.payload)

    client = client_for(broker, troubles.append)
    client.on_connect = on_connect
    client.on_message = on_message
    try:
        client.connect(broker.host, broker.port)
    except OSError as error:
        raise BachboxError(troubles[0]) from error
    client.loop_start()
    try:
        if not answered.wait(TIMEOUT_S):
            raise BachboxError(f"{broker.where} does not answer: is it an MQTT broker?")
        if troubles:
            raise BachboxError(troubles[0])
        prefix = config.discovery_prefix
        wanted = [f"{topics.base}/#"]
        for as_device in (False, True):
            wanted += homeassistant.filters(topics, prefix, as_device=as_device)
        client.subscribe([(topic, 0) for topic in wanted])
        last_heard = time.monotonic()
        while time.monotonic() - last_heard < QUIET_S:
            time.sleep(QUIET_S / 10)
        running = retained.get(topics.availability) == ONLINE.encode()
        introduced = [topic for topic in retained if not topic.startswith(f"{topics.base}/")]
        own = [] if running else sorted(retained.keys() - set(introduced))
        for group in (introduced, own):
            for topic in group:
                # QoS 1: whoever asks for this wants to know that it was done.
                if not _published(client.publish(topic, "", qos=1, retain=True)):
                    raise BachboxError(f"the broker at {broker.where} did not take {topic} away")
            # An entity that is still there would take the end of its state for a state.
            time.sleep(REMOVAL_S if introduced and own else 0)
    finally:
        client.disconnect()
        client.loop_stop()
    return Forgotten(topics.id, len(introduced) + len(own), running)


def _published(info: Any) -> bool:
    try:
        info.wait_for_publish(TIMEOUT_S)
        return bool(info.is_published())
    except (RuntimeError, ValueError):
        return False
