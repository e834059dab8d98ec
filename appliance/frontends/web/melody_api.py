"""A melody from the page: harmonised, kept as a saved piece, and played."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from aiohttp import web

from appliance.frontends.harmoniser import Harmoniser
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response, read_json
from appliance.frontends.web.routing import Permission, RouteTable
from appliance.state.saved_pieces import SavedPiece

MAX_MELODY_BYTES: Final = 1 << 20
"""Of the JSON; a song in MusicXML, with its accompaniment, has some hundred kilobytes."""


class NewMelody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A melody to harmonise."""

    content: bytes
    """A file with a melody, in base64."""
    kind: Literal["abc", "mid", "musicxml", "mxl"]
    """Of that file."""
    name: str = ""
    """What the piece is called; its title if left out."""


class HarmonisedMelody(msgspec.Struct, frozen=True):
    """The melody with three voices under it."""

    piece: SavedPiece
    notices: list[str]
    """What was left out or not taken as it is written."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the route that takes a melody."""
    harmoniser = Harmoniser(context.media.library)

    @table.route(
        "POST", "/api/melodies", needs=Permission.CONTROL, body=NewMelody,
        returns=HarmonisedMelody, errors=(408, 413, 415, 422, 503),
        summary="Keep a melody as the soprano, compose three voices under it, and play the piece",
    )  # fmt: skip
    async def post_melody(request: web.Request) -> web.Response:
        new = await read_json(request, NewMelody, MAX_MELODY_BYTES)
        done = await harmoniser.harmonise(new.content, new.kind, new.name)
        return json_response(HarmonisedMelody(done.piece, done.notices))
