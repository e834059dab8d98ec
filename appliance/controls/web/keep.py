"""Keep it: the last pieces, and each of them as a file to take home."""

from __future__ import annotations

import msgspec
from aiohttp import web

from appliance.controls.keepsakes import Kept
from appliance.controls.web.bodies import answer
from appliance.controls.web.exports import KINDS, Exporter
from appliance.controls.web.house import House
from appliance.music.keepsake import Keepsake


class Pieces(msgspec.Struct, frozen=True):
    """What was kept."""

    pieces: list[Kept]
    """The newest first; the one being played is the first, once some notes of it were heard."""
    files: list[str]
    """The endings of the files that each can be had as: ``/api/pieces/ID.ENDING``."""


def routes(house: House) -> list[web.RouteDef]:
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
                "Content-Disposition": f'attachment; filename="{_file_name(piece)}.{kind}"',
            }
            response = web.FileResponse(path, headers=headers)
            await response.prepare(request)
            return response

    kinds = "|".join(KINDS)
    return [
        web.get("/api/pieces", get_pieces),
        web.get(rf"/api/pieces/{{id:\d{{1,15}}}}.{{kind:{kinds}}}", get_piece),
    ]


def _file_name(piece: Keepsake) -> str:
    """Such as ``bachbox-1685-3``: seed and number, which name the music."""
    return f"bachbox-{piece.seed}-{piece.piece.number}"
