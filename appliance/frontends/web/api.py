"""The API: the same names, values and sentences as on the command line and on a broker."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import answer, body
from appliance.frontends.web.settings_schema import Setting, actions, own_names, settings_schema
from appliance.ipc.ring_observer import Note, notes_of
from appliance.state.box_status import NowPlaying, SettingsNow, Status

Value = str | bool | int | float


class SettingsState(msgspec.Struct, frozen=True):
    """The settings in force, and which of them are left to the model."""

    values: SettingsNow
    own: list[str]


class Capabilities(msgspec.Struct, frozen=True):
    """What can be set and done."""

    settings: list[Setting]
    actions: list[str]


class RollNote(msgspec.Struct, frozen=True):
    """A note of the piano roll; times in ticks, 480 to the beat."""

    voice: int
    pitch: int
    """MIDI, 60 is middle C."""
    start: int
    end: int | None
    velocity: int


class RollNow(msgspec.Struct, frozen=True):
    """What is played and what is composed ahead."""

    playhead: float
    horizon: int
    """Before this tick nothing will be added."""
    notes: list[RollNote]


def routes(house: WebContext) -> list[web.RouteDef]:
    """Everything below ``/api`` that shows or steers."""
    settings, box = house.settings, house.box

    async def get_status(_request: web.Request) -> web.Response:
        status: Status = await asyncio.to_thread(box.status)
        return answer(status)

    async def get_now(_request: web.Request) -> web.Response:
        now: NowPlaying = box.now_playing()
        return answer(now)

    async def get_settings(_request: web.Request) -> web.Response:
        return answer(state(house))

    async def patch_settings(request: web.Request) -> web.Response:
        wishes = await body(request, dict[str, Value])
        settings.change_all(wishes)
        return answer(state(house))

    async def post_action(request: web.Request) -> web.Response:
        name = request.match_info["action"]
        if name not in actions():
            raise web.HTTPNotFound(
                text=f"there is no such action; there are {', '.join(actions())}"
            )
        settings.act(name)
        return answer(box.now_playing())

    async def get_known(_request: web.Request) -> web.Response:
        return answer(Capabilities(settings_schema(settings), actions()))

    async def get_roll(_request: web.Request) -> web.Response:
        follower = box.follower()
        notes = [roll_note(note) for note in notes_of(follower.events)]
        return answer(RollNow(box.playhead().tick, follower.horizon_tick, notes))

    return [
        web.get("/api/status", get_status),
        web.get("/api/now", get_now),
        web.get("/api/settings", get_settings),
        web.patch("/api/settings", patch_settings),
        web.post("/api/actions/{action}", post_action),
        web.get("/api/known", get_known),
        web.get("/api/roll", get_roll),
    ]


def state(house: WebContext) -> SettingsState:
    """What is set just now."""
    return SettingsState(house.box.settings(), own_names(house.settings.values))


def roll_note(note: Note) -> RollNote:
    """A note as the API tells it."""
    return RollNote(note.voice, note.pitch, note.start_tick, note.end_tick, note.velocity)
