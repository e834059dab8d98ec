"""Check that the configured broker accepts a connection."""

from __future__ import annotations

from typing import Final

from appliance.config.schema import Mqtt
from appliance.frontends.mqtt.client import broker_of, connected, topics_of

TIMEOUT_S: Final = 3.0
"""How long each step of the connection may take."""


def check_broker(config: Mqtt) -> str:
    """Connect to the broker, disconnect again, and return what is said of it in a sentence.

    That is its address (``host:port``), and the topic that all topics of the box begin with.

    Blocks for up to twice :data:`TIMEOUT_S`, so it must not run in an event loop.

    Raises:
        BachboxError: the broker does not accept the connection, or the password file cannot be
            read.
    """
    broker, topic = broker_of(config), topics_of(config).base
    with connected(broker, "check", TIMEOUT_S):
        return f"{broker.address} accepts the connection; the topics begin with {topic}"
