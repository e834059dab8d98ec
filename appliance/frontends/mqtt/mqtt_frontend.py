"""The MQTT frontend: publishes the settings and the box's state, and obeys commands.

The effective settings are published, whichever frontend changed them. A state that the broker
already has is not sent again, except after a new connection or a start of Home Assistant.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from appliance.config.schema import Mqtt
from appliance.errors import BachboxError, UsageError
from appliance.frontends.box_events import BoxEvent, BoxEvents
from appliance.frontends.mqtt import homeassistant
from appliance.frontends.mqtt.client import broker_of, topics_of
from appliance.frontends.mqtt.connection import Connection, Message
from appliance.frontends.mqtt.payloads import (
    OFFLINE,
    ONLINE,
    format_state,
    is_press,
    parse,
)
from appliance.frontends.mqtt.piano_roll import piano_roll
from appliance.frontends.mqtt.throttle import Throttle
from appliance.frontends.mqtt.topics import device_name
from appliance.ipc.ring_observer import notes_of
from appliance.state import settings_ranges_and_steps
from appliance.state.box_status import BoxStatus, NowPlaying
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

MIGRATION_S: Final = 4.0
"""How long Home Assistant may take to let go of its entities, before they come in another form."""

OPTIONS_DELAY_S: Final = 1.0
"""How long it may take to learn new options, before a state is one of them."""

PICTURE_INTERVAL_S: Final = 30.0
"""How often the piano roll is published; Home Assistant stores a row each time."""

KNOB_INTERVAL_S: Final = 0.5
"""How often, at most, the turning of knobs is published."""

CLOCK_STEP_S: Final = 60.0
"""A clock that was set by more than this changes the time of the start."""

REJECTION_LOG_INTERVAL_S: Final = 1.0
"""How often, at most, rejected commands are logged; the broker gets every one of them."""

logger = logging.getLogger(__name__)


class Session:
    """One run of the frontend, in the daemon's event loop."""

    def __init__(
        self,
        config: Mqtt,
        settings: Settings,
        box: BoxStatus,
        page_url: Callable[[], str] = str,
        model_titles: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._config = config
        self._settings = settings
        self._box = box
        self._read_page_url = page_url
        self._page_url = ""
        self._read_titles = model_titles
        self._titles: Mapping[str, str] = {}
        self._topics = topics_of(config)
        self._birth_topic = f"{config.discovery_prefix}/status"
        self._published: dict[str, str] = {}
        """The last payload that the broker has from us, by topic."""
        self._settings_throttle = Throttle(SETTINGS_INTERVAL_S, self._publish_settings)
        self._discovery_throttle = Throttle(DISCOVERY_INTERVAL_S, self._publish_everything)
        self._choices: dict[str, list[str]] = {}
        self._options: dict[str, list[str]] = {}
        """The options that were announced."""
        self._old_topics: set[str] = set()
        """Topics of the other discovery form, from which Home Assistant is migrating."""
        self._timers: set[asyncio.TimerHandle] = set()
        self._started_s = 0.0
        """When the box started, in seconds since 1970; corrected when the clock is set."""
        self._knob = ""
        self._knob_throttle = Throttle(
            KNOB_INTERVAL_S, lambda: self._publish_event(BoxEvent.KNOB_TURNED, self._knob)
        )
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
        self._titles, self._page_url = await asyncio.to_thread(
            lambda: (self._read_titles(), self._read_page_url())
        )
        self._connection.start()
        loop = asyncio.get_running_loop()
        piece, title, picture_at, health_at = (0, 0), "", 0.0, loop.time()
        while True:
            now = self._publish_now_playing()
            if (now.piece, now.saved) != piece:
                if piece[0]:
                    self._publish_event(BoxEvent.PIECE_ENDED, title)
                self._publish_event(BoxEvent.PIECE_BEGAN, now.title)
                piece, title = (now.piece, now.saved), now.title
                picture_at = loop.time() + POLL_INTERVAL_S
                self._publish_health()
            if loop.time() >= picture_at:
                picture_at = loop.time() + PICTURE_INTERVAL_S
                self._publish_piano_roll(now.title)
            if loop.time() >= health_at + HEALTH_INTERVAL_S:
                health_at = loop.time()
                self._publish_health()
                await self._look_for_choices()
            await asyncio.sleep(POLL_INTERVAL_S)

    def happened(self, event: BoxEvent, about: str) -> None:
        """Publish ``event``; turning knobs are published now and then."""
        if event is not BoxEvent.KNOB_TURNED:
            self._publish_event(event, about)
            return
        self._knob = about
        self._knob_throttle.request()

    async def _look_for_choices(self) -> None:
        """Announce models, cards and soundfonts that have come or gone."""
        if self._connection.connected and self._settings.choices != self._choices:
            self._titles = await asyncio.to_thread(self._read_titles)
            self._discovery_throttle.request()

    async def close(self) -> None:
        """Publish that the box is offline, and disconnect."""
        self._stop_observing()
        for throttle in (
            self._settings_throttle,
            self._discovery_throttle,
            self._rejection_throttle,
            self._knob_throttle,
        ):
            throttle.cancel()
        for timer in self._timers:
            timer.cancel()
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
        # Later, so that Home Assistant prepares to leave the other form first.
        self._discovery_throttle.request(DISCOVERY_DELAY_S)

    def _settings_changed(self, _requested: RequestedSettings, _changed: frozenset[str]) -> None:
        self._settings_throttle.request()

    def _publish_everything(self) -> None:
        self._published.clear()
        self._choices, before = self._settings.choices, self._options
        self._options = homeassistant.options_in_use(self._choices, self._settings.effective)
        if self._discovers:
            box = homeassistant.DiscoveredDevice(
                self._topics,
                device_name(self._topics.id),
                self._box.status().version,
                self._options,
                self._page_url,
                self._titles,
            )
            for topic, payload in homeassistant.discovery_messages(
                box, self._config.discovery_prefix, as_device=self._config.discovery == "device"
            ):
                self._connection.publish(topic, payload)
        if before in ({}, self._options):
            self._publish_state()
        else:
            self._later(OPTIONS_DELAY_S, self._publish_state)

    def _delete_old_topics(self) -> None:
        for topic in self._old_topics:
            self._connection.publish(topic, "")
        self._old_topics.clear()

    def _later(self, delay_s: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(delay_s, run)
        self._timers.add(timer)

    def _publish_state(self) -> None:
        # Before "online", so that what is shown as available has a value.
        self._publish_settings()
        self._publish_now_playing()
        self._publish_health()
        self._publish(self._topics.availability, ONLINE)

    def _publish_settings(self) -> None:
        values = self._settings.effective
        if homeassistant.options_in_use(self._options, values) != self._options:
            # Home Assistant accepts a state only if it is one of the options.
            self._discovery_throttle.request()
            return
        for name in NAMES:
            self._publish(self._topics.state(name), format_state(name, values))

    def _publish_now_playing(self) -> NowPlaying:
        """Publish what plays, and return it."""
        now = self._box.now_playing()
        # Beats are too frequent for a broker.
        slow = {
            key: value
            for key, value in msgspec.structs.asdict(now).items()
            if not key.startswith("beat")
        }
        self._publish(self._topics.now_playing, msgspec.json.encode(slow).decode())
        return now

    def _publish_health(self) -> None:
        if not self._connection.connected:
            return
        health = self._box.health()
        started_s = time.time() - health.uptime_s
        if abs(started_s - self._started_s) > CLOCK_STEP_S:
            self._started_s = started_s
        started = datetime.fromtimestamp(self._started_s, UTC).isoformat(timespec="seconds")
        shown = msgspec.structs.asdict(health) | {"started_at": started}
        self._publish(self._topics.health, msgspec.json.encode(shown).decode())

    def _publish_piano_roll(self, title: str) -> None:
        notes = notes_of(self._box.ring_observer().events)
        picture = piano_roll(notes, self._box.playhead().tick, title)
        self._publish(self._topics.piano_roll, picture)

    def _publish_event(self, event: BoxEvent, about: str) -> None:
        payload = {"event_type": str(event), "about": about}
        encoded = msgspec.json.encode(payload).decode()
        self._connection.publish(self._topics.event, encoded, retain=False)

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
                if message.payload and message.payload != homeassistant.MIGRATE.encode():
                    self._migrate_from(message.topic)
            elif message.payload == homeassistant.BIRTH.encode() and not message.retained:
                # A retained one arrives at each connection, when all is published anyway.
                self._discovery_throttle.request()

    def _migrate_from(self, topic: str) -> None:
        """Delete a discovery payload of the other form, and then announce the box in its form.

        Deleted later, it would count for Home Assistant as a conflict with the new form.
        """
        if not self._old_topics:
            self._later(MIGRATION_S / 2, self._delete_old_topics)
        self._old_topics.add(topic)
        self._connection.publish(topic, homeassistant.MIGRATE, retain=False)
        self._discovery_throttle.cancel()
        self._discovery_throttle.request(MIGRATION_S)

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
            name = settings_ranges_and_steps.find(name).name
        try:
            value = parse(message.payload)
        except UsageError as error:
            raise UsageError(f"{name}: {error}") from error
        if name not in tuple(Action):
            self._settings.change(name, value)
            for warning in self._settings.warnings:
                self._reject(warning)
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

    def __init__(
        self,
        config: Mqtt,
        page_url: Callable[[], str] = str,
        model_titles: Callable[[], Mapping[str, str]] = dict,
        events: BoxEvents | None = None,
    ) -> None:
        """Take what there is to publish.

        Args:
            config: it names a host.
            page_url: gives where the box's page is, for Home Assistant to link to; may block.
            model_titles: gives what the models are called, by name; may block.
            events: what happens to the box.
        """
        self._config = config
        self._page_url = page_url
        self._model_titles = model_titles
        self._events = events or BoxEvents()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Keep the broker informed until cancelled.

        Raises:
            BachboxError: the password file, the certificates or the key cannot be read.
        """
        session = Session(self._config, settings, box, self._page_url, self._model_titles)
        stop_observing = self._events.observe(session.happened)
        try:
            await session.work()
        finally:
            stop_observing()
            await session.close()
