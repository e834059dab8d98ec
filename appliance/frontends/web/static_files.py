"""The page's own files, out of memory: nothing but what lies in ``static`` can be asked for."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from appliance.frontends.web.context import Handler, Permission, WebContext, may

STATIC: Final = Path(__file__).parent / "static"

_TYPES: Final = {".js": "text/javascript", ".webmanifest": "application/manifest+json"}


class _File(NamedTuple):
    content: bytes
    type: str
    etag: str


def routes(_house: WebContext) -> list[web.RouteDef]:
    """The pages under their names, everything else under ``/static/``."""
    found = []
    for path in sorted(STATIC.iterdir()):
        place = f"/static/{path.name}"
        if path.suffix == ".html":
            place = "/" if path.stem == "index" else f"/{path.stem}"
        found.append(web.get(place, _serving(_read(path))))
    return found


def _read(path: Path) -> _File:
    content = path.read_bytes()
    guessed = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return _File(
        content, guessed or "application/octet-stream", hashlib.sha256(content).hexdigest()[:16]
    )


def _serving(file: _File) -> Handler:
    @may(Permission.NOTHING)
    async def serve(request: web.Request) -> web.Response:
        headers = {"ETag": f'"{file.etag}"', "Cache-Control": "no-cache"}
        if any(tag.value == file.etag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        charset = "utf-8" if file.type.startswith("text/") else None
        response = web.Response(
            body=file.content, content_type=file.type, charset=charset, headers=headers
        )
        if charset or file.type.endswith(("json", "xml")):
            response.enable_compression()
        return response

    return serve
