"""Somebody who has the page open for hours, and listens there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import aiohttp

from appliance.ipc.pcm import BYTES_PER_FRAME
from tests.support.virtual_card import RATE

AGAIN_S: Final = 1.0
"""After a stream or a WebSocket has ended, it is asked for again."""


class Visitor:
    """A player that takes `/stream.wav`, and a page that is told at `/api/live` what happens."""

    def __init__(self, port: int) -> None:
        self._page = f"http://127.0.0.1:{port}"
        self._sound_bytes = 0
        self.messages = 0
        """Of the WebSocket, so far."""

    @property
    def heard_s(self) -> float:
        """So much sound has come so far."""
        return self._sound_bytes / (BYTES_PER_FRAME * RATE)

    async def stay(self) -> None:
        """Look and listen until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=10.0)
        async with aiohttp.ClientSession(
            self._page, timeout=timeout, raise_for_status=True
        ) as session:
            await asyncio.gather(
                _again(lambda: self._listen(session)), _again(lambda: self._look(session))
            )

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        async with session.get("/stream.wav") as answer:
            async for part in answer.content.iter_any():
                self._sound_bytes += len(part)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/api/live") as live:
            async for _message in live:
                self.messages += 1


async def _again(take: Callable[[], Coroutine[None, None, None]]) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await take()
        await asyncio.sleep(AGAIN_S)


@contextlib.contextmanager
def visiting(port: int) -> Iterator[Visitor]:
    """A visitor, in a thread of their own, as long as the context lasts."""
    visitor = Visitor(port)
    loop = asyncio.new_event_loop()
    task = loop.create_task(visitor.stay())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield visitor
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(5.0)
