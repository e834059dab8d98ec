"""What both WebSockets share: the handshake, and the end of a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from aiohttp import web

HEARTBEAT_S: Final = 20.0

CLOSE_TIMEOUT_S: Final = 1.0


def open_websocket(request: web.Request, max_message_bytes: int) -> web.WebSocketResponse:
    """Return a WebSocket that takes messages of up to ``max_message_bytes``, not yet prepared.

    Raises:
        HTTPUpgradeRequired: ``request`` is not a WebSocket handshake (RFC 6455).
    """
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S,
        max_msg_size=max_message_bytes,
        compress=False,
        timeout=CLOSE_TIMEOUT_S,
    )
    if not socket.can_prepare(request).ok:
        raise web.HTTPUpgradeRequired(
            text="connect to this address as a WebSocket", headers={"Upgrade": "websocket"}
        )
    return socket


async def run_until_first_ends(
    socket: web.WebSocketResponse, *coroutines: Coroutine[Any, Any, Any]
) -> None:
    """Run ``coroutines`` until one of them ends, then cancel the others and close ``socket``."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError, RuntimeError):
            await socket.close()
