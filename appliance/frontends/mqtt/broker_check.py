"""Knocks at the broker once, under another name than the box's own."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Final, NamedTuple

from appliance.config.schema import Mqtt
from appliance.frontends.mqtt.connection import client_for, refusal, why
from appliance.frontends.mqtt.session import broker_of

BROKER_S: Final = 3.0
"""How long the broker may take to answer."""


class Trial(NamedTuple):
    """What came of it."""

    ok: bool
    detail: str
    remedy: str = ""


def try_broker(mqtt: Mqtt) -> Trial:
    """Connect, and go again; takes up to :data:`BROKER_S`, so not in an event loop.

    Raises:
        BachboxError: the password's file cannot be read.
    """
    # Under the box's own name we would push it off the broker.
    broker = replace(broker_of(mqtt), client_id=f"bachbox-trial-{os.getpid()}")
    client = client_for(broker)
    answers: list[str] = []
    answered = threading.Event()

    def on_connect(
        _client: object, _data: object, _flags: object, reason: object, _properties: object
    ) -> None:
        answers.append(str(reason))
        answered.set()

    client.on_connect = on_connect
    client.connect_timeout = BROKER_S
    try:
        client.connect(mqtt.host, mqtt.port)
        client.loop_start()
        answered.wait(BROKER_S)
    except OSError as error:
        return Trial(False, why(broker, error.__cause__ or error))
    finally:
        client.disconnect()
        client.loop_stop()
    if answers[:1] == ["Success"]:
        return Trial(True, f"{broker.where} lets us in")
    if answers:
        return Trial(False, refusal(broker, answers[0]))
    return Trial(
        False,
        f"{broker.where} does not answer",
        "is it an MQTT broker, and is [mqtt] tls right?",
    )
