"""JSON in requests and responses."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

T = TypeVar("T")

MAX_BODY_BYTES: Final = 1 << 14
"""Longest body of a request; all settings together need a few hundred bytes."""

BODY_TIMEOUT_S: Final = 10.0


class Error(msgspec.Struct, frozen=True):
    """Why a request failed."""

    error: str
    """A sentence for people."""


async def read_json(request: web.Request, kind: type[T], most_bytes: int = MAX_BODY_BYTES) -> T:
    """Return the body of ``request`` as a ``kind``.

    Raises:
        HTTPUnsupportedMediaType: the body is not declared as JSON.
        HTTPRequestTimeout: it does not arrive within :data:`BODY_TIMEOUT_S`.
        HTTPRequestEntityTooLarge: it has more than ``most_bytes``.
        HTTPUnprocessableEntity: it is not valid JSON of that type.
    """
    content = await read_body(request, most_bytes)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise web.HTTPUnprocessableEntity(text=f"invalid request: {error!s:.200}") from error


async def read_body(
    request: web.Request, most_bytes: int = MAX_BODY_BYTES, timeout_s: float = BODY_TIMEOUT_S
) -> bytes:
    """Return the body of ``request``, which is declared as JSON.

    Raises:
        HTTPUnsupportedMediaType: it is not.
        HTTPRequestTimeout: it does not arrive within ``timeout_s``.
        HTTPRequestEntityTooLarge: it has more than ``most_bytes``.
    """
    if request.content_type != "application/json":
        # A form on another site can send any other type without a CORS preflight.
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json")
    content = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            while part := await request.content.readany():
                content += part
                if len(content) > most_bytes:
                    raise web.HTTPRequestEntityTooLarge(most_bytes, len(content))
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not arrive in time") from error
    return bytes(content)


def json_response(value: Any, status: int = 200) -> web.Response:
    """Return a response whose body is ``value`` as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
