"""The page's WebSocket: whatever changes is told at once, and wishes are taken.

The box says objects with a key ``is``: ``hello`` first, then ``settings``, ``now``, ``notes``,
``clock``, ``schema``, and ``done`` or ``refused`` to each wish
``{"id": 1, "set": {...}, "act": [...]}``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import WSMsgType, web

from appliance.errors import BachboxError
from appliance.frontends.web.api import Value, state
from appliance.frontends.web.context import LEVEL, Permission, WebContext
from appliance.frontends.web.settings_schema import settings_schema
from appliance.frontends.web.websocket import until_the_first_ends, websocket
from appliance.ipc.ring_observer import RingObserver
from appliance.music.events import AS_WRITTEN_PERMILLE, TICKS_PER_BEAT, Event, Kind
from appliance.state.box_status import NowPlaying
from appliance.state.settings import Action, RequestedSettings

POLL_INTERVAL_S: Final = 0.05
"""How often the ring is looked at, while anybody looks at the page."""

CLOCK_S: Final = 0.25

MODELS_S: Final = 5.0
"""How often the models folder is looked at."""

SHOW_S: Final = 0.02
"""So long changed settings wait for more."""

PAST_BEATS: Final = 40
"""How much of what has been played a newcomer gets."""

MAX_BYTES: Final = 4096
"""The longest wish."""

MAX_QUEUED: Final = 200
"""Messages that wait for a slow browser; with more it is let go, and comes again."""

SEND_S: Final = 15.0

WISHES_PER_S: Final = 100.0


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser asks for."""

    id: int = 0
    set: dict[str, Value] = {}
    act: list[Action] = []


class Viewer:
    """One open page."""

    def __init__(self, level: Permission) -> None:
        self.level = level
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_QUEUED)
        self.lost = asyncio.Event()

    def tell(self, message: bytes) -> None:
        """Put it into the queue, or give the viewer up."""
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.lost.set()


class Hub:
    """Looks once for all who look on."""

    def __init__(self, house: WebContext) -> None:
        self._house = house
        self.viewers: set[Viewer] = set()
        self._follower: RingObserver
        self._watch: asyncio.Task[None] | None = None
        self._now: NowPlaying | None = None
        self._models: list[str] = []
        self._shown: asyncio.TimerHandle | None = None
        self._forget = house.settings.observe(self._changed)

    def enter(self, viewer: Viewer) -> None:
        """Greet it, and tell it everything from now on."""
        house = self._house
        if not self.viewers:
            self._follower = house.box.follower()
            self._now = None
            self._models = house.settings.models
            self._watch = house.spawn(self._look_on())
        else:
            self._look()
        viewer.tell(
            _message(
                "hello",
                may=viewer.level.name.lower(),
                name=house.name,
                version=house.version,
                ticks_per_beat=TICKS_PER_BEAT,
                schema=settings_schema(house.settings),
            )
        )
        viewer.tell(self._settings_message())
        viewer.tell(_message("now", now=house.box.now_playing()))
        tick = int(house.box.playhead().tick) - PAST_BEATS * TICKS_PER_BEAT
        viewer.tell(self._notes_message(0, self._follower.since(tick)))
        viewer.tell(self._clock_message())
        self.viewers.add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """It has gone."""
        self.viewers.discard(viewer)
        if not self.viewers and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def renew(self) -> None:
        """Who may what has changed: all have to come again."""
        for viewer in self.viewers:
            viewer.lost.set()

    def close(self) -> None:
        """Nothing is observed any more."""
        self._forget()
        if self._shown is not None:
            self._shown.cancel()

    def _changed(self, _values: RequestedSettings, _changed: frozenset[str]) -> None:
        if self.viewers and self._shown is None:
            self._shown = asyncio.get_running_loop().call_later(SHOW_S, self._show)

    def _show(self) -> None:
        self._shown = None
        self._tell(self._settings_message())

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        clock_at, models_at = loop.time(), loop.time() + MODELS_S
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self._look()
            now = self._house.box.now_playing()
            if now != self._now:
                self._now = now
                self._tell(_message("now", now=now))
            if loop.time() >= clock_at:
                clock_at = loop.time() + CLOCK_S
                self._tell(self._clock_message())
            if loop.time() >= models_at:
                models_at = loop.time() + MODELS_S
                if (models := self._house.settings.models) != self._models:
                    self._models = models
                    self._tell(_message("schema", schema=settings_schema(self._house.settings)))

    def _look(self) -> None:
        news = self._follower.look()
        events = [event for event in news.events if event.kind is not Kind.TOKENS]
        if news.cut_tick is not None or events:
            self._tell(self._notes_message(news.cut_tick, events))

    def _tell(self, message: bytes) -> None:
        for viewer in self.viewers:
            viewer.tell(message)

    def _settings_message(self) -> bytes:
        return _message("settings", **msgspec.structs.asdict(state(self._house)))

    def _notes_message(self, cut_tick: int | None, events: list[Event]) -> bytes:
        return _message("notes", cut=cut_tick, horizon=self._follower.horizon_tick, events=events)

    def _clock_message(self) -> bytes:
        playhead = self._house.box.playhead()
        pace = self._follower.pace_permille(playhead.tick) / AS_WRITTEN_PERMILLE
        beats_per_s = self._house.settings.effective.tempo / 60 * pace
        return _message(
            "clock",
            tick=playhead.tick,
            ticks_per_s=beats_per_s * TICKS_PER_BEAT if playhead.moves else 0.0,
            frame=playhead.frames_played,
            frames_per_s=playhead.sample_rate,
            horizon=self._follower.horizon_tick,
        )


def routes(house: WebContext) -> list[web.RouteDef]:
    """The WebSocket."""
    hub = Hub(house)
    house.at_end(hub.close)
    house.at_renewal(hub.renew)

    async def live(request: web.Request) -> web.StreamResponse:
        socket = websocket(request, MAX_BYTES)
        await socket.prepare(request)
        viewer = Viewer(request[LEVEL])
        hub.enter(viewer)
        try:
            await until_the_first_ends(
                socket, _hear(socket, viewer, house), _tell(socket, viewer), viewer.lost.wait()
            )
        finally:
            hub.leave(viewer)
        return socket

    return [web.get("/api/live", live)]


async def _tell(socket: web.WebSocketResponse, viewer: Viewer) -> None:
    while (message := await viewer.queue.get()) is not None:
        async with asyncio.timeout(SEND_S):
            await socket.send_str(message.decode())


async def _hear(socket: web.WebSocketResponse, viewer: Viewer, house: WebContext) -> None:
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            # Nobody sends that who knows us.
            return
        viewer.tell(_obey(message.data, viewer.level, house))
        # The next one is not read before; what waits, waits at the browser's end.
        await asyncio.sleep(1 / WISHES_PER_S)


def _obey(text: str, level: Permission, house: WebContext) -> bytes:
    number = 0
    try:
        wish = msgspec.json.decode(text, type=Wish)
        number = wish.id
        if level < Permission.CONTROL:
            return _message("refused", id=number, error="this needs the password", login=True)
        if wish.set:
            house.settings.change_all(wish.set)
        for action in wish.act:
            house.settings.act(action)
    except BachboxError as error:
        return _message("refused", id=number, error=str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _message("refused", id=number, error=f"this is no wish: {error!s:.200}")
    return _message("done", id=number)


def _message(kind: str, **content: Any) -> bytes:
    return msgspec.json.encode({"is": kind, **content})
