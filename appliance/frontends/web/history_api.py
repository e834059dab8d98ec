"""Keep it: the last pieces, and each of them as a file to take home."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.history import HistoryEntry
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.exports import KINDS, Exporter
from appliance.frontends.web.json_io import answer
from appliance.music.files.piece_record import PieceRecord

_PART_BYTES: Final = 1 << 18

_SEND_S: Final = 30.0
"""Whoever takes less than a part in so long has gone."""


class Pieces(msgspec.Struct, frozen=True):
    """What was kept."""

    pieces: list[HistoryEntry]
    """The newest first; the one being played is the first, once some notes of it were heard."""
    files: list[str]
    """The endings of the files that each can be had as: ``/api/pieces/ID.ENDING``."""


def routes(house: WebContext) -> list[web.RouteDef]:
    """The list, and the files."""
    keepsakes = house.shelf.keepsakes
    exporter = Exporter(house.shelf.soundfont)

    async def get_pieces(_request: web.Request) -> web.Response:
        return answer(Pieces(keepsakes.listing(), list(KINDS)))

    async def get_piece(request: web.Request) -> web.StreamResponse:
        number, kind = int(request.match_info["id"]), request.match_info["kind"]
        piece = keepsakes.get(number)
        if piece is None:
            raise web.HTTPNotFound(text="there is no such piece (any more)")
        async with exporter.file(piece, kind) as path:
            headers = {
                "Content-Type": KINDS[kind],
                "Content-Length": str(path.stat().st_size),
                "Content-Disposition": f'attachment; filename="{_file_name(piece)}.{kind}"',
            }
            response = web.StreamResponse(headers=headers)
            await response.prepare(request)
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, _PART_BYTES):
                    async with asyncio.timeout(_SEND_S):
                        await response.write(part)
            return response

    kinds = "|".join(KINDS)
    return [
        web.get("/api/pieces", get_pieces),
        web.get(rf"/api/pieces/{{id:\d{{1,15}}}}.{{kind:{kinds}}}", get_piece, allow_head=False),
    ]


def _file_name(piece: PieceRecord) -> str:
    """Such as ``bachbox-1685-3``: seed and number, which name the music."""
    return f"bachbox-{piece.seed}-{piece.piece.number}"
