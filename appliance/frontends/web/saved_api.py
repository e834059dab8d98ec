"""Saved pieces: the list, and each of them to play, to rename, to delete, and as a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.exports import MEDIA_TYPES
from appliance.frontends.web.history_api import send_piece
from appliance.frontends.web.json_io import json_response, read_json
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable
from appliance.state.box_status import NowPlaying
from appliance.state.saved_pieces import MAX_PIECES, SavedPiece

if TYPE_CHECKING:
    from appliance.frontends.library import Library

_ID: Final = PathParameter(
    "The id of the saved piece", {"type": "integer", "minimum": 0, "maximum": 10**10 - 1},
    r"\d{1,10}",
)  # fmt: skip
_KIND: Final = PathParameter("The kind of file", {"enum": list(MEDIA_TYPES)}, "|".join(MEDIA_TYPES))


class SavedList(msgspec.Struct, frozen=True):
    """All saved pieces."""

    pieces: list[SavedPiece]
    """The newest first."""
    files: list[str]
    """The kinds of file that each can be downloaded as: ``/api/saved/ID.KIND``."""
    most: int
    """How many pieces can be saved."""


class NewSavedPiece(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece to save."""

    name: str = ""
    """What it is called; its title if left out."""
    id: int | None = None
    """Which one, by its id in ``/api/pieces``; the one that plays if left out."""


class NewName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name."""

    name: str


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of the saved pieces."""
    _add_list_routes(table, context.media.library)
    _add_piece_routes(table, context)


def _add_list_routes(table: RouteTable, library: Library) -> None:
    """Add the routes that list the pieces, and save another one."""

    @table.route(
        "GET", "/api/saved", needs=Permission.READ, returns=SavedList,
        summary="The saved pieces",
    )  # fmt: skip
    async def get_saved(_request: web.Request) -> web.Response:
        return _listing(library)

    @table.route(
        "POST", "/api/saved", needs=Permission.CONTROL, body=NewSavedPiece, returns=SavedPiece,
        errors=(408, 415, 422, 503),
        summary="Keep the piece that plays, or one of the last, for good",
    )  # fmt: skip
    async def post_saved(request: web.Request) -> web.Response:
        new = await read_json(request, NewSavedPiece)
        return json_response(await library.save_piece(new.name, new.id))


def _add_piece_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of one piece: rename, delete, play, download."""
    library = context.media.library
    one: dict[str, Any] = {"parameters": {"id": _ID}, "needs": Permission.CONTROL}

    @table.route(
        "PATCH", "/api/saved/{id}", body=NewName, returns=SavedPiece,
        errors=(404, 408, 415, 422, 503), summary="Give a saved piece another name", **one,
    )  # fmt: skip
    async def patch_saved(request: web.Request) -> web.Response:
        number = _number(request, library)
        new = await read_json(request, NewName)
        return json_response(await library.rename_piece(number, new.name))

    @table.route(
        "DELETE", "/api/saved/{id}", returns=SavedList, errors=(404, 422, 503),
        summary="Delete a saved piece", **one,
    )  # fmt: skip
    async def delete_saved(request: web.Request) -> web.Response:
        await library.delete_piece(_number(request, library))
        return _listing(library)

    @table.route(
        "POST", "/api/saved/{id}/play", returns=NowPlaying, errors=(404, 422),
        summary="Play a saved piece now", **one,
    )  # fmt: skip
    async def play_saved(request: web.Request) -> web.Response:
        library.play_piece(_number(request, library))
        return json_response(context.box.now_playing())

    @table.route(
        "GET", "/api/saved/{id}.{kind}", needs=Permission.READ, errors=(404, 503),
        media_types=tuple(MEDIA_TYPES.values()), allow_head=False,
        summary="A saved piece as a MIDI, WAV or MusicXML file",
        parameters={"id": _ID, "kind": _KIND},
    )  # fmt: skip
    async def get_file(request: web.Request) -> web.StreamResponse:
        record = await asyncio.to_thread(library.saved.record, _number(request, library))
        return await send_piece(request, context.exporter, record, request.match_info["kind"])


def _listing(library: Library) -> web.Response:
    return json_response(SavedList(library.saved.listing(), list(MEDIA_TYPES), MAX_PIECES))


def _number(request: web.Request, library: Library) -> int:
    """Return the number of the piece that the path names.

    Raises:
        HTTPNotFound: there is none.
    """
    number = int(request.match_info["id"])
    if library.saved.get(number) is None:
        raise web.HTTPNotFound(text="there is no such saved piece; it may have been deleted")
    return number
