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


async def read_json(request: web.Request, kind: type[T]) -> T:
    """Return the body of ``request`` as a ``kind``.

    Raises:
        HTTPUnsupportedMediaType: the body is not declared as JSON.
        HTTPRequestTimeout: it does not arrive within :data:`BODY_TIMEOUT_S`.
        HTTPUnprocessableEntity: it is not valid JSON of that type.
    """
    if request.content_type != "application/json":
        # A form on another site can send any other type without a CORS preflight.
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            content = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not arrive in time") from error
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise web.HTTPUnprocessableEntity(text=f"invalid request: {error!s:.200}") from error


def json_response(value: Any, status: int = 200) -> web.Response:
    """Return a response whose body is ``value`` as JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
