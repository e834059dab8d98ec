"""The MQTT frontend: publishes the settings and the box's state, and obeys commands.

The effective settings are published, whichever frontend changed them. A state that the broker
already has is not sent again, except after a new connection or a start of Home Assistant.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from appliance.config.schema import Mqtt
from appliance.errors import BachboxError, UsageError
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.client import broker_of, topics_of
from appliance.frontends.mqtt.connection import Connection, Message
from appliance.frontends.mqtt.messages import (
    OFFLINE,
    ONLINE,
    device_name,
    format_state,
    is_press,
    parse,
)
from appliance.frontends.mqtt.throttle import Throttle
from appliance.state import settings_table
from appliance.state.box_status import BoxStatus
from appliance.state.settings import NAMES, Action, RequestedSettings, Settings

SETTINGS_INTERVAL_S: Final = 0.03
"""How often, at most, changed settings are published."""

POLL_INTERVAL_S: Final = 0.25
"""How often we check whether a new bar or piece has begun."""

HEALTH_INTERVAL_S: Final = 10.0
"""How often the health is published (and at each new piece), and models and cards looked for."""

DISCOVERY_INTERVAL_S: Final = 2.0
"""How often, at most, the discovery payloads are published."""

DISCOVERY_DELAY_S: Final = 0.3
"""How long after a connection they are published; by then the retained ones have arrived."""

REJECTION_LOG_INTERVAL_S: Final = 1.0
"""How often, at most, rejected commands are logged; the broker gets every one of them."""

logger = logging.getLogger(__name__)


class Session:
    """One run of the frontend, in the daemon's event loop."""

    def __init__(self, config: Mqtt, settings: Settings, box: BoxStatus) -> None:
        self._config = config
        self._settings = settings
        self._box = box
        self._topics = topics_of(config)
        self._birth_topic = f"{config.discovery_prefix}/status"
        self._published: dict[str, str] = {}
        """The last payload that the broker has from us, by topic."""
        self._settings_throttle = Throttle(SETTINGS_INTERVAL_S, self._publish_settings)
        self._discovery_throttle = Throttle(DISCOVERY_INTERVAL_S, self._publish_everything)
        self._choices: dict[str, list[str]] = {}
        self._unlogged_rejections = 0
        self._rejection_throttle = Throttle(REJECTION_LOG_INTERVAL_S, self._log_rejections)
        self._last_rejection = ""
        self._connection = Connection(
            broker_of(config),
            (self._topics.availability, OFFLINE),
            [*self._topics.command_filters, *self._discovery_filters()],
            self._topics.address,
            self._connected,
            self._receive,
        )
        self._stop_observing = settings.observe(self._settings_changed)

    async def work(self) -> None:
        """Keep the broker informed until cancelled."""
        self._connection.start()
        while True:
            piece: object = None
            for _ in range(round(HEALTH_INTERVAL_S / POLL_INTERVAL_S)):
                now = self._publish_now_playing()
                if now != piece:
                    piece = now
                    self._publish_health()
                await asyncio.sleep(POLL_INTERVAL_S)
            if self._connection.connected and self._settings.choices != self._choices:
                self._discovery_throttle.request()

    async def close(self) -> None:
        """Publish that the box is offline, and disconnect."""
        self._stop_observing()
        for throttle in (
            self._settings_throttle,
            self._discovery_throttle,
            self._rejection_throttle,
        ):
            throttle.cancel()
        await self._connection.stop((self._topics.availability, OFFLINE))

    @property
    def _discovers(self) -> bool:
        return self._config.discovery != "off"

    def _discovery_filters(self) -> list[str]:
        """The topic of Home Assistant's birth message, and those of the other discovery form."""
        if not self._discovers:
            return []
        other = self._config.discovery != "device"
        prefix = self._config.discovery_prefix
        return [
            self._birth_topic,
            *homeassistant.discovery_filters(self._topics, prefix, as_device=other),
        ]

    # Out ----------------------------------------------------------------------------------

    def _connected(self) -> None:
        self._discovery_throttle.cancel()
        self._published.clear()
        self._publish_state()
        # Later, so that discovery payloads of the other form are deleted first.
        self._discovery_throttle.request(DISCOVERY_DELAY_S)

    def _settings_changed(self, _requested: RequestedSettings, _changed: frozenset[str]) -> None:
        self._settings_throttle.request()

    def _publish_everything(self) -> None:
        self._published.clear()
        self._choices = self._settings.choices
        if self._discovers:
            box = homeassistant.DiscoveredDevice(
                self._topics,
                device_name(self._topics.id),
                self._box.status().version,
                self._choices,
            )
            for topic, payload in homeassistant.discovery_messages(
                box, self._config.discovery_prefix, as_device=self._config.discovery == "device"
            ):
                self._connection.publish(topic, payload)
        self._publish_state()

    def _publish_state(self) -> None:
        # Before "online", so that what is shown as available has a value.
        self._publish_settings()
        self._publish_now_playing()
        self._publish_health()
        self._publish(self._topics.availability, ONLINE)

    def _publish_settings(self) -> None:
        values = self._settings.effective
        for name in NAMES:
            self._publish(self._topics.state(name), format_state(name, values))

    def _publish_now_playing(self) -> object:
        """Publish what plays; return the number of the piece."""
        now = msgspec.to_builtins(self._box.now_playing())
        # Beats are too frequent for a broker.
        slow = {key: value for key, value in now.items() if not key.startswith("beat")}
        self._publish(self._topics.now_playing, msgspec.json.encode(slow).decode())
        return now["piece"]

    def _publish_health(self) -> None:
        if self._connection.connected:
            self._publish(self._topics.health, msgspec.json.encode(self._box.health()).decode())

    def _publish(self, topic: str, payload: str) -> None:
        if self._connection.connected and self._published.get(topic) != payload:
            self._published[topic] = payload
            self._connection.publish(topic, payload)

    # In -----------------------------------------------------------------------------------

    def _receive(self, messages: list[Message]) -> None:
        for message in messages:
            if message.name is not None:
                try:
                    self._obey(message.name, message)
                except BachboxError as error:
                    self._reject(str(error))
            elif message.topic != self._birth_topic:
                # A discovery payload of the other form: delete it.
                if message.payload:
                    self._connection.publish(message.topic, "")
            elif message.payload == homeassistant.BIRTH.encode() and not message.retained:
                # A retained one arrives at each connection, when all is published anyway.
                self._discovery_throttle.request()

    def _obey(self, name: str, message: Message) -> None:
        """Carry out a command.

        Raises:
            BachboxError: it cannot be carried out.
        """
        if message.retained:
            raise UsageError(
                f"the retained command for {name!r} is ignored: it may be old, or meant for "
                "another box; send commands without the retain flag"
            )
        if name not in tuple(Action):
            name = settings_table.find(name).name
        try:
            value = parse(message.payload)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
        if name not in tuple(Action):
            self._settings.change(name, value)
        elif is_press(value):
            self._settings.act(name)
        else:
            raise UsageError(f"{name}: {value!r:.40} is not allowed; it must be PRESS")

    def _reject(self, reason: str) -> None:
        self._connection.publish(self._topics.error, reason, retain=False)
        self._last_rejection = reason
        self._unlogged_rejections += 1
        self._rejection_throttle.request()

    def _log_rejections(self) -> None:
        others = self._unlogged_rejections - 1
        more = f" (and {others} more rejected)" if others else ""
        self._unlogged_rejections = 0
        logger.warning("mqtt: rejected: %s%s", self._last_rejection, more)


class MqttFrontend:
    """Puts the box on a broker; see :class:`appliance.frontends.base.Frontend`."""

    name = "mqtt"

    def __init__(self, config: Mqtt) -> None:
        """Take ``config``, which names a host."""
        self._config = config

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Keep the broker informed until cancelled.

        Raises:
            BachboxError: the password file or the CA certificates cannot be read.
        """
        session = Session(self._config, settings, box)
        try:
            await session.work()
        finally:
            await session.close()
