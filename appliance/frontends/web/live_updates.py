"""The WebSocket ``/api/live``: sends every change at once, and takes changes.

:mod:`appliance.frontends.web.live_messages` has its messages. A :class:`LiveFeed` polls the box
once for all clients, and only while there is one.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import WSMsgType, web

from appliance.errors import BachboxError
from appliance.frontends.web.api import settings_state
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.live_messages import (
    ChangeRequest,
    ClockMessage,
    Done,
    Hello,
    NotesMessage,
    NowMessage,
    Refused,
    SchemaMessage,
    ServerMessage,
    SettingsMessage,
)
from appliance.frontends.web.routing import PERMISSION, Permission, RouteTable, WebSocketMessages
from appliance.frontends.web.settings_schema import settings_schema
from appliance.frontends.web.websocket import open_websocket, run_until_first_ends
from appliance.ipc.ring_observer import RingObserver
from appliance.music.events import FULL_TEMPO_PERMILLE, TICKS_PER_BEAT, Event, Tokens, event_object
from appliance.state.box_status import NowPlaying
from appliance.state.settings import RequestedSettings

POLL_INTERVAL_S: Final = 0.05
"""How often the ring of composed events is read."""

CLOCK_INTERVAL_S: Final = 0.25

MODELS_INTERVAL_S: Final = 5.0
"""How often the models folder is read."""

COALESCE_S: Final = 0.02
"""How long changed settings wait for further changes, to be sent together."""

HISTORY_BEATS: Final = 40
"""Quarter notes of the past that a new client gets."""

MAX_MESSAGE_BYTES: Final = 4096
"""Longest message of a client."""

MAX_QUEUED: Final = 200
"""Messages that wait for a slow client; with more, it is disconnected and may come back."""

SEND_TIMEOUT_S: Final = 15.0

MAX_REQUESTS_PER_S: Final = 100.0


class LiveClient:
    """One connected page."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        self.queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED)
        """Encoded messages that wait to be sent."""
        self.dropped = asyncio.Event()
        """Set when the client must be disconnected."""

    def send(self, message: bytes) -> None:
        """Queue ``message``; a client with a full queue is dropped instead."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.dropped.set()


class LiveFeed:
    """Polls the box and sends what has changed to all clients."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self.clients: set[LiveClient] = set()
        self._observer: RingObserver
        self._polling: asyncio.Task[None] | None = None
        self._now: NowPlaying | None = None
        self._choices: dict[str, list[str]] = {}
        self._settings_timer: asyncio.TimerHandle | None = None
        self._stop_observing = context.settings.observe(self._settings_changed)

    def add(self, client: LiveClient) -> None:
        """Send the whole state to ``client``, and from now on every change."""
        context = self._context
        if not self.clients:
            self._observer = context.box.ring_observer()
            self._now = None
            self._choices = context.settings.choices
            self._polling = context.start_task(self._poll())
        else:
            self._send_new_events()
        tick = int(context.box.playhead().tick) - HISTORY_BEATS * TICKS_PER_BEAT
        for message in (
            Hello(
                permission=client.permission.name.lower(),
                name=context.name,
                version=context.version,
                ticks_per_beat=TICKS_PER_BEAT,
                schema=settings_schema(context.settings),
            ),
            self._settings_message(),
            _now_message(context.box.now_playing()),
            self._notes_message(0, self._observer.since(tick)),
            self._clock_message(),
        ):
            client.send(_encode(message))
        self.clients.add(client)

    def remove(self, client: LiveClient) -> None:
        """Send nothing more to ``client``."""
        self.clients.discard(client)
        if not self.clients and self._polling is not None:
            self._polling.cancel()
            self._polling = None

    def drop_all(self) -> None:
        """Disconnect all clients, so that they come back with their new permission."""
        for client in self.clients:
            client.dropped.set()

    def close(self) -> None:
        """Stop observing the settings."""
        self._stop_observing()
        if self._settings_timer is not None:
            self._settings_timer.cancel()

    def _settings_changed(self, _values: RequestedSettings, _changed: frozenset[str]) -> None:
        if self.clients and self._settings_timer is None:
            loop = asyncio.get_running_loop()
            self._settings_timer = loop.call_later(COALESCE_S, self._send_settings)

    def _send_settings(self) -> None:
        self._settings_timer = None
        self._send_to_all(self._settings_message())

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        clock_at, models_at = loop.time(), loop.time() + MODELS_INTERVAL_S
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self._send_new_events()
            now = self._context.box.now_playing()
            if now != self._now:
                self._now = now
                self._send_to_all(_now_message(now))
            if loop.time() >= clock_at:
                clock_at = loop.time() + CLOCK_INTERVAL_S
                self._send_to_all(self._clock_message())
            if loop.time() >= models_at:
                models_at = loop.time() + MODELS_INTERVAL_S
                if (choices := self._context.settings.choices) != self._choices:
                    self._choices = choices
                    self._send_to_all(SchemaMessage(settings_schema(self._context.settings)))

    def _send_new_events(self) -> None:
        update = self._observer.poll()
        message = self._notes_message(update.rewind_tick, update.events)
        if message.rewind_tick is not None or message.events:
            self._send_to_all(message)

    def _send_to_all(self, message: ServerMessage) -> None:
        encoded = _encode(message)
        for client in self.clients:
            client.send(encoded)

    def _settings_message(self) -> SettingsMessage:
        state = settings_state(self._context)
        return SettingsMessage(state.values, state.model_defaults)

    def _notes_message(self, rewind_tick: int | None, events: list[Event]) -> NotesMessage:
        found = [event_object(event) for event in events if not isinstance(event, Tokens)]
        return NotesMessage(rewind_tick, self._observer.horizon_tick, found)

    def _clock_message(self) -> ClockMessage:
        playhead = self._context.box.playhead()
        tempo_factor = self._observer.tempo_factor_permille(playhead.tick) / FULL_TEMPO_PERMILLE
        set_bpm = self._context.settings.effective.tempo
        beats_per_s = self._context.box.sounding_bpm(set_bpm) / 60 * tempo_factor
        return ClockMessage(
            tick=playhead.tick,
            ticks_per_s=beats_per_s * TICKS_PER_BEAT if playhead.moving else 0.0,
            frame=playhead.frames_played,
            frames_per_s=playhead.sample_rate,
            horizon_tick=self._observer.horizon_tick,
        )


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the WebSocket."""
    feed = LiveFeed(context)
    context.on_close(feed.close)
    context.on_permissions_changed(feed.drop_all)

    @table.route(
        "GET", "/api/live", needs=Permission.READ,
        websocket=WebSocketMessages(ServerMessage, ChangeRequest),  # type: ignore[arg-type]
        summary="WebSocket: every change at once; takes changes of settings, and actions",
        description=(
            f"A client that leaves {MAX_QUEUED} messages unread is disconnected and may connect "
            f"again. Its messages may be up to {MAX_MESSAGE_BYTES} bytes long; up to "
            f"{MAX_REQUESTS_PER_S:.0f} are read in a second."
        ),
    )  # fmt: skip
    async def live(request: web.Request) -> web.StreamResponse:
        socket = open_websocket(request, MAX_MESSAGE_BYTES)
        await socket.prepare(request)
        client = LiveClient(request[PERMISSION])
        feed.add(client)
        try:
            await run_until_first_ends(
                socket,
                _receive(socket, client, context),
                _send(socket, client),
                client.dropped.wait(),
            )
        finally:
            feed.remove(client)
        return socket


async def _send(socket: web.WebSocketResponse, client: LiveClient) -> None:
    while True:
        message = await client.queue.get()
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await socket.send_str(message.decode())


async def _receive(socket: web.WebSocketResponse, client: LiveClient, context: WebContext) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            # No client of this API sends anything else.
            return
        client.send(_encode(_apply(message.data, client.permission, context)))
        # Read no faster than this: further messages wait at the client's end.
        await asyncio.sleep(1 / MAX_REQUESTS_PER_S)


def _apply(text: str, permission: Permission, context: WebContext) -> Done | Refused:
    """Do what the message ``text`` asks for, and return the answer to it."""
    number = 0
    try:
        request = msgspec.json.decode(text, type=ChangeRequest)
        number = request.id
        if permission < Permission.CONTROL:
            return Refused(number, "log in to change something", needs_login=True)
        warnings: list[str] = []
        if request.set:
            context.settings.change_all(request.set)
            warnings = context.settings.warnings
        for action in request.actions:
            context.settings.act(action)
    except BachboxError as error:
        return Refused(number, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refused(number, f"invalid message: {error!s:.200}")
    return Done(number, warnings)


def _now_message(now: NowPlaying) -> NowMessage:
    return NowMessage(now, seed_text=str(now.seed))


def _encode(message: ServerMessage) -> bytes:
    return msgspec.json.encode(message)
