"""State, settings and actions over HTTP; names, values and errors as in the shell and on MQTT."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response, read_json
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable
from appliance.frontends.web.settings_schema import SettingSchema, actions, settings_schema
from appliance.ipc.ring_observer import Note, notes_of
from appliance.state.box_status import NowPlaying, Status
from appliance.state.settings import ShownSettings, left_to_model

Value = str | bool | int | float

SETTINGS_CHANGE: Final = "SettingsChange"
"""Name of the schema of new settings: any of them by name."""


class SettingsState(msgspec.Struct, frozen=True):
    """The current settings."""

    values: ShownSettings
    model_defaults: list[str]
    """Names of the settings that follow the model's default."""
    warnings: list[str] = []
    """After a change: what a scene names and this box cannot take, a sentence each."""


class Capabilities(msgspec.Struct, frozen=True):
    """What can be set and done."""

    settings: list[SettingSchema]
    actions: list[str]


class RollNote(msgspec.Struct, frozen=True):
    """A note of the piano roll; there are 480 ticks in a quarter note."""

    voice: int
    """From 0, the highest voice."""
    pitch: int
    """MIDI note number; 60 is middle C."""
    start_tick: int
    end_tick: int | None
    """None while the end is not composed yet."""
    velocity: int
    """MIDI velocity, 1 to 127."""


class Roll(msgspec.Struct, frozen=True):
    """The notes played recently and the notes composed ahead."""

    playhead_tick: float
    """What is played now."""
    horizon_tick: int
    """Everything before this tick is composed."""
    notes: list[RollNote]


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of state, settings and actions."""
    box = context.box

    @table.route(
        "GET", "/api/status", needs=Permission.READ, returns=Status,
        summary="Settings, what is playing, and health, all together",
    )  # fmt: skip
    async def get_status(_request: web.Request) -> web.Response:
        status: Status = await asyncio.to_thread(box.status)
        return json_response(status)

    @table.route(
        "GET", "/api/now", needs=Permission.READ, returns=NowPlaying,
        summary="The piece, bar and beat being played",
    )  # fmt: skip
    async def get_now(_request: web.Request) -> web.Response:
        now: NowPlaying = box.now_playing()
        return json_response(now)

    @table.route(
        "GET", "/api/roll", needs=Permission.READ, returns=Roll,
        summary="Notes played recently and composed ahead",
    )  # fmt: skip
    async def get_roll(_request: web.Request) -> web.Response:
        observer = box.ring_observer()
        notes = [roll_note(note) for note in notes_of(observer.events)]
        return json_response(Roll(box.playhead().tick, observer.horizon_tick, notes))

    _add_settings_routes(table, context)


def _add_settings_routes(table: RouteTable, context: WebContext) -> None:
    settings = context.settings

    @table.route(
        "GET", "/api/settings", needs=Permission.READ, returns=SettingsState,
        summary="Current settings",
    )  # fmt: skip
    async def get_settings(_request: web.Request) -> web.Response:
        return json_response(settings_state(context))

    @table.route(
        "PATCH", "/api/settings", needs=Permission.CONTROL, body=SETTINGS_CHANGE,
        returns=SettingsState, errors=(408, 415, 422, 503),
        summary="Change some settings, all of them or none",
    )  # fmt: skip
    async def patch_settings(request: web.Request) -> web.Response:
        settings.change_all(await read_json(request, dict[str, Value]))
        state = settings_state(context)
        return json_response(msgspec.structs.replace(state, warnings=settings.warnings))

    @table.route(
        "POST", "/api/actions/{action}", needs=Permission.CONTROL, returns=NowPlaying,
        errors=(404,), summary="Do something once, such as begin the next piece",
        parameters={"action": PathParameter("What to do", {"enum": actions()})},
    )  # fmt: skip
    async def post_action(request: web.Request) -> web.Response:
        name = request.match_info["action"]
        if name not in actions():
            raise web.HTTPNotFound(text=f"no such action; choose one of {', '.join(actions())}")
        settings.act(name)
        return json_response(context.box.now_playing())

    @table.route(
        "GET", "/api/schema", needs=Permission.READ, returns=Capabilities,
        summary="All settings with their ranges and choices, and all actions",
    )  # fmt: skip
    async def get_schema(_request: web.Request) -> web.Response:
        return json_response(Capabilities(settings_schema(settings), actions()))


def settings_state(context: WebContext) -> SettingsState:
    """Return the current settings."""
    return SettingsState(context.box.settings(), left_to_model(context.settings.requested))


def roll_note(note: Note) -> RollNote:
    """Return ``note`` as the API shows it."""
    return RollNote(note.voice, note.pitch, note.start_tick, note.end_tick, note.velocity)
