"""The files of the page, served from memory; only files in ``static`` can be requested."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable

STATIC: Final = Path(__file__).parent / "static"

PAGES: Final = {"/": "index.html", "/health": "health.html"}
"""The file of each page, by path."""

_TYPES: Final = {
    ".js": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class _File(NamedTuple):
    content: bytes
    media_type: str
    etag: str


def add_routes(table: RouteTable, _context: WebContext) -> None:
    """Add the pages, and the files that they load."""
    files = {path.name: _read(path) for path in sorted(STATIC.iterdir())}
    pages = {path: files.pop(name) for path, name in PAGES.items()}

    @table.route(
        "GET", "/", needs=Permission.NONE, media_types=("text/html",),
        other_responses=_NOT_MODIFIED, summary="The page",
    )  # fmt: skip
    async def get_page(request: web.Request) -> web.Response:
        return _respond(request, pages["/"])

    @table.route(
        "GET", "/health", needs=Permission.NONE, media_types=("text/html",),
        other_responses=_NOT_MODIFIED, summary="The health page",
    )  # fmt: skip
    async def get_health_page(request: web.Request) -> web.Response:
        return _respond(request, pages["/health"])

    @table.route(
        "GET", "/static/{name}", needs=Permission.NONE, errors=(404,),
        media_types=tuple(sorted({file.media_type for file in files.values()})),
        other_responses=_NOT_MODIFIED, summary="A file that a page loads",
        parameters={"name": PathParameter("The file", {"enum": list(files)})},
    )  # fmt: skip
    async def get_file(request: web.Request) -> web.Response:
        file = files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return _respond(request, file)


_NOT_MODIFIED: Final = {304: (None, "The ETag in If-None-Match is current")}


def _read(path: Path) -> _File:
    content = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    etag = hashlib.sha256(content).hexdigest()[:16]
    return _File(content, media_type or "application/octet-stream", etag)


def _respond(request: web.Request, file: _File) -> web.Response:
    headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
    if any(tag.value == file.etag for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    charset = "utf-8" if file.media_type.startswith("text/") else None
    response = web.Response(
        body=file.content, content_type=file.media_type, charset=charset, headers=headers
    )
    if charset or file.media_type.endswith(("json", "xml")):
        response.enable_compression()
    return response
