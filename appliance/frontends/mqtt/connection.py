"""A connection to the broker that is restored when lost and never delays the event loop.

paho-mqtt runs in a thread of its own, where resolving a name or a TLS handshake may take its
time; what matters is passed to the event loop. Received messages wait in a bounded inbox: of
messages with the same key only the last one is kept, and the steps after it, so a flood costs the
loop next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.reasoncodes import ReasonCode

from appliance.frontends.mqtt.client import RETRY_MAX_S, Broker, new_client, refusal
from appliance.frontends.mqtt.payloads import is_step
from appliance.frontends.mqtt.throttle import Throttle
from appliance.frontends.mqtt.topics import Address

RETRY_FIRST_S: Final = 1
"""The pause before a lost connection is tried again; it doubles up to ``RETRY_MAX_S``."""

KEEPALIVE_S: Final = 15
"""A broken network is noticed after about twice this; the last will comes after 1.5 times this."""

STABLE_S: Final = 2.0
"""A connection that has lasted this long is reported as established."""

INBOX_INTERVAL_S: Final = 0.02
"""How often, at most, received messages are delivered."""

MAX_WAITING_STEPS: Final = 100
"""For each key; further ones are dropped."""

DISCONNECT_TIMEOUT_S: Final = 0.2
"""How long disconnecting may take."""

logger = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message from the broker."""

    name: str | None
    """The setting or action that it is a command for, known or not; None: it is not a command."""
    topic: str
    payload: bytes
    retained: bool
    """The broker had stored it before we subscribed."""


class Connection:
    """Keeps a connection from :meth:`start` to :meth:`stop`; used in the event loop's thread.

    Args:
        broker: where to connect, and how to log in.
        last_will: topic and payload that the broker publishes, retained, when the box is gone.
        filters: the topic filters to subscribe to.
        address: what a topic means; called in paho's thread.
        on_connect: called after each connection.
        on_messages: called with the received messages, oldest first.
    """

    def __init__(
        self,
        broker: Broker,
        last_will: tuple[str, str],
        filters: Sequence[str],
        address: Callable[[str], Address],
        on_connect: Callable[[], None],
        on_messages: Callable[[list[Message]], None],
    ) -> None:
        self.broker = broker
        self._filters = filters
        self._address = address
        self._on_connect = on_connect
        self._on_messages = on_messages
        self._loop = asyncio.get_running_loop()
        self._inbox: dict[str, list[Message]] = {}
        """By key: the last message, and the steps that came after it."""
        self._inbox_lock = threading.Lock()
        self._deliver = Throttle(INBOX_INTERVAL_S, self._deliver_messages)
        self.connected = False
        """Connected and logged in."""
        self._logged_failure = ""
        """The failure that was logged last."""
        self._stable_timer: asyncio.TimerHandle | None = None
        self._disconnected = asyncio.Event()
        self._stopping = False
        self._client = new_client(broker, self._fail_from_thread)
        self._client.will_set(*last_will, qos=1, retain=True)
        self._client.reconnect_delay_set(RETRY_FIRST_S, RETRY_MAX_S)
        self._client.on_connect = self._answered
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._ended
        self._client.on_message = self._received

    def start(self) -> None:
        """Connect in the background, now and whenever the connection is lost."""
        self._client.connect_async(self.broker.host, self.broker.port, KEEPALIVE_S)
        self._client.loop_start()

    async def stop(self, last_message: tuple[str, str]) -> None:
        """Publish ``last_message`` (topic and payload, retained) and disconnect.

        Takes at most :data:`DISCONNECT_TIMEOUT_S`.
        """
        self._stopping = True
        self._deliver.cancel()
        self._cancel_stable_timer()
        if self.connected:
            self._client.publish(*last_message, qos=0, retain=True)
        # A thread that is still connecting ends when the attempt fails, or with the process.
        self._client.disconnect()
        if self.connected:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._disconnected.wait(), DISCONNECT_TIMEOUT_S)

    def publish(self, topic: str, payload: str, *, retain: bool = True) -> None:
        """Publish ``payload`` under ``topic`` if connected; never waits.

        QoS 0: within a connection TCP loses nothing, and after a new one all is published again.
        """
        if self.connected:
            self._client.publish(topic, payload, qos=0, retain=retain)

    # In paho's thread ---------------------------------------------------------------------

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        """Call ``function`` in the event loop's thread."""
        # RuntimeError: the loop has been closed.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _fail_from_thread(self, sentence: str) -> None:
        self._post(self._failed, sentence)

    def _answered(
        self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any
    ) -> None:
        self._client.unanswered = False
        if self._stopping:
            client.disconnect()
        elif reason.is_failure:
            self._post(self._failed, refusal(self.broker, reason))
        else:
            # QoS 0 here too: a broker queues few QoS 1 messages for each client and drops the
            # ones after them, so that in a flood the last value would be the one that is lost.
            client.subscribe([(topic, 0) for topic in self._filters])
            self._post(self._connected)

    def _subscribed(
        self, _client: Any, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.warning(
                "mqtt: the broker at %s does not let us subscribe to all of %s: check the rights "
                "of this user on the broker",
                self.broker.address, ", ".join(self._filters),
            )  # fmt: skip

    def _ended(
        self, _client: Any, _data: Any, _flags: Any, _reason: ReasonCode, _properties: Any
    ) -> None:
        self._post(self._connection_lost, self._client.unanswered)

    def _received(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        name, key = self._address(message.topic)
        with self._inbox_lock:
            was_empty = not self._inbox
            if not (message.retain and key in self._inbox):
                received = Message(name, message.topic, bytes(message.payload), message.retain)
                # Removed first, so that the inbox is in the order of each key's last message.
                waiting = self._inbox.pop(key, [])
                steps = waiting[:MAX_WAITING_STEPS] if is_step(received.payload) else []
                self._inbox[key] = [*steps, received]
        if was_empty:
            self._post(self._deliver.request)

    # In the event loop --------------------------------------------------------------------

    def _deliver_messages(self) -> None:
        with self._inbox_lock:
            messages = [message for waiting in self._inbox.values() for message in waiting]
            self._inbox.clear()
        if not self._stopping:
            self._on_messages(messages)

    def _connected(self) -> None:
        if self._stopping:
            return
        self.connected = True
        self._stable_timer = self._loop.call_later(STABLE_S, self._connection_is_stable)
        self._on_connect()

    def _connection_lost(self, unanswered: bool) -> None:
        was_connected, self.connected = self.connected, False
        self._disconnected.set()
        was_unstable = self._cancel_stable_timer()
        if self._stopping:
            return
        address = self.broker.address
        if was_connected and was_unstable:
            self._failed(
                f"the broker at {address} accepted the connection and closed it at once: does "
                f"another box have the same [mqtt] id ({self.broker.client_id})?"
            )
        elif was_connected:
            self._failed(f"the connection to the broker at {address} is lost")
        elif unanswered:
            self._failed(self._client.silence)

    def _cancel_stable_timer(self) -> bool:
        """Return whether the timer was running: the connection was not stable yet."""
        if self._stable_timer is None:
            return False
        self._stable_timer.cancel()
        self._stable_timer = None
        return True

    def _connection_is_stable(self) -> None:
        self._stable_timer = None
        self._logged_failure = ""
        logger.info(
            "mqtt: connected to the broker at %s as %s", self.broker.address, self.broker.client_id
        )

    def _failed(self, sentence: str) -> None:
        """Log a failure, once for as long as it stays the same."""
        if not self._stopping and sentence != self._logged_failure:
            self._logged_failure = sentence
            logger.warning(
                "mqtt: %s; retrying in the background while the music plays on", sentence
            )
