"""The box on a broker: its settings to be seen and changed, and its health.

What is published is what is in force, whoever changed it; a state that the broker has already is
not sent again, and all of it is after each connection and each start of Home Assistant.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from appliance.config.loader import password
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError, UsageError
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.connection import Broker, Link, Message, Throttle
from appliance.frontends.mqtt.messages import (
    OFFLINE,
    ONLINE,
    Topics,
    identity,
    parse,
    pressed,
    show,
)
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Action, EffectiveSettings, RequestedSettings, Settings

SHOW_S: Final = 0.03
"""How often, at most, changed settings are published."""

POLL_INTERVAL_S: Final = 0.25
"""How often we look whether a new bar or piece has begun."""

HEALTH_S: Final = 10.0
"""How often the health is published (and at each new piece), and the models folder looked at."""

ANNOUNCE_S: Final = 2.0
"""How often, at most, we introduce ourselves to Home Assistant."""

SETTLE_S: Final = 0.3
"""How long after a connection; by then we know what the broker has retained."""

REFUSAL_S: Final = 1.0
"""How often, at most, a refusal goes into the log; to the broker they all go."""


def broker_of(config: Mqtt) -> Broker:
    """The broker that ``config`` names.

    Raises:
        BachboxError: the password's file cannot be read.
    """
    return Broker(
        host=config.host,
        port=config.port,
        client_id=f"bachbox-{identity(config.id)}",
        username=config.username,
        password=password(config),
        tls=config.tls,
        ca_file=config.ca_file,
    )


def announced(
    config: Mqtt, topics: Topics, version: str, models: list[str]
) -> homeassistant.DiscoveredDevice:
    """What Home Assistant is told of this box."""
    name = f"Bachbox {config.id}" if config.id else "Bachbox"
    return homeassistant.DiscoveredDevice(topics, name, version, models)


class Session:
    """One run of the control, in the daemon's event loop."""

    def __init__(self, config: Mqtt, settings: Settings, box: BoxStatus) -> None:
        self._config = config
        self._settings = settings
        self._box = box
        self._topics = Topics(identity(config.id), config.group)
        self._birth = f"{config.discovery_prefix}/status"
        self._sent: dict[str, str] = {}
        """The last payload of each topic that the broker has from us."""
        self._show = Throttle(SHOW_S, self._publish_settings)
        self._announce = Throttle(ANNOUNCE_S, self._publish_everything)
        self._models: list[str] = []
        self._refusals_untold = 0
        self._refused = Throttle(REFUSAL_S, self._tell_refusals)
        self._refusal = ""
        self._link = Link(
            broker_of(config),
            (self._topics.availability, OFFLINE),
            [*self._topics.commands, *self._discovery_topics()],
            self._topics.slot,
            self._came_up,
            self._receive,
            lambda sentence: box.say(f"bachbox: mqtt: {sentence}"),
        )
        self._stop_observing = settings.observe(self._changed)

    async def work(self) -> None:
        """Keep the broker informed until cancelled."""
        self._link.start()
        while True:
            piece: object = None
            for _ in range(round(HEALTH_S / POLL_INTERVAL_S)):
                now = self._publish_now_playing()
                if now != piece:
                    piece = now
                    self._publish_health()
                await asyncio.sleep(POLL_INTERVAL_S)
            if self._link.up and self._settings.models != self._models:
                self._announce.ask()

    async def close(self) -> None:
        """Say goodbye."""
        self._stop_observing()
        for throttle in (self._show, self._announce, self._refused):
            throttle.cancel()
        await self._link.stop((self._topics.availability, OFFLINE))

    @property
    def _discovers(self) -> bool:
        return self._config.discovery != "off"

    def _discovery_topics(self) -> list[str]:
        """Home Assistant's birth, and what we once announced in the other form."""
        if not self._discovers:
            return []
        other = self._config.discovery != "device"
        prefix = self._config.discovery_prefix
        return [self._birth, *homeassistant.filters(self._topics, prefix, as_device=other)]

    # Out ----------------------------------------------------------------------------------

    def _came_up(self) -> None:
        self._announce.cancel()
        self._sent.clear()
        self._publish_state()
        # A little later, so that what we announced in the other form is taken back before.
        self._announce.ask(SETTLE_S)

    def _changed(self, _values: RequestedSettings, _changed: frozenset[str]) -> None:
        self._show.ask()

    def _publish_everything(self) -> None:
        self._sent.clear()
        self._models = self._settings.models
        if self._discovers:
            box = announced(self._config, self._topics, self._box.status().version, self._models)
            for topic, payload in homeassistant.announcements(
                box, self._config.discovery_prefix, as_device=self._config.discovery == "device"
            ):
                self._link.publish(topic, payload)
        self._publish_state()

    def _publish_state(self) -> None:
        # Before "online": what is shown as available then has its value.
        self._publish_settings()
        self._publish_now_playing()
        self._publish_health()
        self._publish(self._topics.availability, ONLINE)

    def _publish_settings(self) -> None:
        values = self._settings.effective
        for name in EffectiveSettings._fields:
            self._publish(self._topics.state(name), show(name, values))

    def _publish_now_playing(self) -> object:
        """Publish it; the piece's number."""
        now = msgspec.to_builtins(self._box.now_playing())
        # Beats come too often for a broker.
        told = {key: value for key, value in now.items() if not key.startswith("beat")}
        self._publish(self._topics.now_playing, msgspec.json.encode(told).decode())
        return now["piece"]

    def _publish_health(self) -> None:
        if self._link.up:
            self._publish(self._topics.health, msgspec.json.encode(self._box.health()).decode())

    def _publish(self, topic: str, payload: str) -> None:
        if self._link.up and self._sent.get(topic) != payload:
            self._sent[topic] = payload
            self._link.publish(topic, payload)

    # In -----------------------------------------------------------------------------------

    def _receive(self, messages: list[Message]) -> None:
        for message in messages:
            name = self._topics.wish(message.topic)
            if name is not None:
                self._obey(name, message)
            elif message.topic != self._birth:
                if message.payload:
                    self._link.publish(message.topic, "")
            elif message.payload == homeassistant.BIRTH.encode() and not message.retained:
                # One that is retained greets us at each connection, when all is said anyway.
                self._announce.ask()

    def _obey(self, name: str, message: Message) -> None:
        try:
            if message.retained:
                raise UsageError(
                    f"a retained command for {name!r} was said to somebody else or long ago and "
                    "is passed over; send commands without retain"
                )
            if not self._topics.slot(message.topic):
                # No such thing: the settings know the sentence.
                self._settings.change(name, "")
            name = name.replace("-", "_")
            try:
                value = parse(message.payload)
            except UsageError as error:
                raise UsageError(f"{name}: {error}") from error
            if name not in tuple(Action):
                self._settings.change(name, value)
            elif pressed(value):
                self._settings.act(name)
            else:
                raise UsageError(f"{name}: {value!r:.40} is not allowed; it is PRESS")
        except BachboxError as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> None:
        self._link.publish(self._topics.error, reason, retain=False)
        self._refusal = reason
        self._refusals_untold += 1
        self._refused.ask()

    def _tell_refusals(self) -> None:
        others = self._refusals_untold - 1
        more = f" (and {others} more refused)" if others else ""
        self._refusals_untold = 0
        self._box.say(f"bachbox: mqtt: refused: {self._refusal}{more}")
