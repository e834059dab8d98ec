"""The backup over HTTP: settings, scenes and saved pieces as one file."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response, read_body
from appliance.frontends.web.routing import Permission, RouteTable
from appliance.state.backup_file import BackupFile
from appliance.state.store import MAX_BACKUP_BYTES

_UPLOAD_TIMEOUT_S: Final = 60.0


class Restored(msgspec.Struct, frozen=True):
    """What a restore did."""

    restored: str
    """In words."""
    warnings: list[str]
    """A sentence for each setting that this box cannot take."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of the backup."""
    library = context.media.library

    @table.route(
        "GET", "/api/backup", needs=Permission.CONTROL, errors=(503,), allow_head=False,
        media_types=("application/json",),
        summary="A backup: settings, scenes and saved pieces as one file",
    )  # fmt: skip
    async def get_backup(_request: web.Request) -> web.Response:
        packed = await asyncio.to_thread(library.backups.make)
        name = f"{socket.gethostname()}-{time.strftime('%Y-%m-%d')}.bachbox.json"
        return web.Response(
            body=packed,
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @table.route(
        "POST", "/api/backup", needs=Permission.CONTROL, body=BackupFile, returns=Restored,
        errors=(408, 413, 415, 422, 503),
        summary="Restore a backup; scenes and saved pieces that are only here stay",
    )  # fmt: skip
    async def post_backup(request: web.Request) -> web.Response:
        packed = await read_body(request, MAX_BACKUP_BYTES, _UPLOAD_TIMEOUT_S)
        return json_response(Restored(*await library.backups.restore(packed)))
