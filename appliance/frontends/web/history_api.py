"""The history: the last pieces, and each of them as a file."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.history import HistoryEntry
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.exports import MEDIA_TYPES, Exporter
from appliance.frontends.web.json_io import json_response
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable
from appliance.music.files.piece_record import PieceRecord

_PART_BYTES: Final = 1 << 18

_SEND_TIMEOUT_S: Final = 30.0
"""A client that takes less than a part in this time is disconnected."""

_MAX_ID_DIGITS: Final = 15


class Pieces(msgspec.Struct, frozen=True):
    """The last pieces."""

    pieces: list[HistoryEntry]
    """The newest first. The piece being played comes first, as soon as a few notes were played."""
    files: list[str]
    """The kinds of file that each can be downloaded as: ``/api/pieces/ID.KIND``."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the list of pieces, and their files."""
    history = context.media.library.history
    exporter = context.exporter

    @table.route(
        "GET", "/api/pieces", needs=Permission.READ, returns=Pieces,
        summary="The last pieces",
    )  # fmt: skip
    async def get_pieces(_request: web.Request) -> web.Response:
        return json_response(Pieces(history.listing(), list(MEDIA_TYPES)))

    @table.route(
        "GET", "/api/pieces/{id}.{kind}", needs=Permission.READ, errors=(404, 503),
        media_types=tuple(MEDIA_TYPES.values()), allow_head=False,
        summary="A piece as a MIDI, WAV or MusicXML file",
        parameters={
            "id": PathParameter(
                "The piece's id in the list",
                {"type": "integer", "minimum": 0, "maximum": 10**_MAX_ID_DIGITS - 1},
                rf"\d{{1,{_MAX_ID_DIGITS}}}",
            ),
            "kind": PathParameter(
                "The kind of file", {"enum": list(MEDIA_TYPES)}, "|".join(MEDIA_TYPES)
            ),
        },
    )  # fmt: skip
    async def get_piece(request: web.Request) -> web.StreamResponse:
        number, kind = int(request.match_info["id"]), request.match_info["kind"]
        piece = history.get(number)
        if piece is None:
            raise web.HTTPNotFound(text="there is no such piece; it may be too old")
        return await send_piece(request, exporter, piece, kind)


async def send_piece(
    request: web.Request, exporter: Exporter, piece: PieceRecord, kind: str
) -> web.StreamResponse:
    """Answer ``request`` with ``piece`` as a file of this kind.

    Raises:
        BachboxError: the file cannot be made, or too many are waiting.
        TimeoutError: the client takes less than a part in :data:`_SEND_TIMEOUT_S`.
    """
    async with exporter.file(piece, kind) as path:
        headers = {
            "Content-Type": MEDIA_TYPES[kind],
            "Content-Length": str(path.stat().st_size),
            "Content-Disposition": f'attachment; filename="{_file_name(piece)}.{kind}"',
        }
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with path.open("rb") as file:
            while part := await asyncio.to_thread(file.read, _PART_BYTES):
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await response.write(part)
        return response


def _file_name(piece: PieceRecord) -> str:
    """Return a name such as ``bachbox-1685-3``: the seed and the number of the piece."""
    return f"bachbox-{piece.seed}-{piece.piece.number}"
