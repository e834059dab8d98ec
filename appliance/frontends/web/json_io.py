"""What comes in with a request: JSON of a known type and no other, and not for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from aiohttp import web

T = TypeVar("T")

BODY_S: Final = 10.0
"""How long a body may take to come."""


async def body(request: web.Request, kind: type[T]) -> T:
    """The request's body; raises the refusal (an HTTP error) of one that is not so."""
    if request.content_type != "application/json":
        # A form of another page could send anything else without asking.
        raise web.HTTPUnsupportedMediaType(text="the body has to be application/json")
    try:
        async with asyncio.timeout(BODY_S):
            content = await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body takes too long to come") from error
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise web.HTTPUnprocessableEntity(text=f"this is no request: {error!s:.200}") from error


def answer(value: Any, status: int = 200) -> web.Response:
    """``value`` (JSON or what msgspec makes JSON of) as a response."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
