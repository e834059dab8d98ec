"""Scenes over HTTP. One is chosen as every setting is changed: ``{"scene": NAME}``."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from appliance.frontends.web.api import Value
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response, read_json
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable
from appliance.state.given_names import MAX_CHARACTERS
from appliance.state.scenes import Scene

_NAME: Final[dict[str, Any]] = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}


class SceneList(msgspec.Struct, frozen=True):
    """All scenes."""

    scenes: list[Scene]
    current: str
    """The scene that applies, or ``none``."""


class NewScene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scene to keep."""

    name: str
    settings: dict[str, Value] | None = None
    """What it sets; the current settings if it is left out."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of the scenes."""
    library = context.media.library

    def scenes() -> web.Response:
        listing = library.scenes.listing()
        return json_response(SceneList(listing, context.settings.requested.scene))

    @table.route(
        "GET", "/api/scenes", needs=Permission.READ, returns=SceneList,
        summary="The scenes: settings that are set together",
    )  # fmt: skip
    async def get_scenes(_request: web.Request) -> web.Response:
        return scenes()

    @table.route(
        "POST", "/api/scenes", needs=Permission.CONTROL, body=NewScene, returns=SceneList,
        errors=(408, 415, 422, 503),
        summary="Keep the current settings, or those given, as a scene",
    )  # fmt: skip
    async def post_scene(request: web.Request) -> web.Response:
        new = await read_json(request, NewScene)
        await library.save_scene(new.name, new.settings)
        return scenes()

    @table.route(
        "DELETE", "/api/scenes/{name}", needs=Permission.CONTROL, returns=SceneList,
        errors=(404, 422, 503), summary="Delete a scene of your own",
        parameters={"name": PathParameter("The scene's name", _NAME, r"[^{}/]+")},
    )  # fmt: skip
    async def delete_scene(request: web.Request) -> web.Response:
        await library.delete_scene(request.match_info["name"])
        return scenes()
