"""What both WebSockets need, the page's and a listener's: a handshake, and an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import web

HEARTBEAT_S: Final = 20.0


def websocket(request: web.Request, most_bytes: int) -> web.WebSocketResponse:
    """One that takes messages of up to ``most_bytes``, still to be prepared.

    Raises:
        HTTPUpgradeRequired: another kind of request has come.
    """
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, max_msg_size=most_bytes, compress=False, timeout=1.0
    )
    if not socket.can_prepare(request).ok:
        raise web.HTTPUpgradeRequired(text="this is a WebSocket", headers={"Upgrade": "websocket"})
    return socket


async def until_the_first_ends(
    socket: web.WebSocketResponse, *works: Coroutine[Any, Any, Any]
) -> None:
    """Do all of ``works`` until one has ended, then end the others and close."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await socket.close()
