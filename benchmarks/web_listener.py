"""A web client that has the page open for hours and listens to its stream."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import aiohttp

from appliance.ipc.pcm import BYTES_PER_FRAME
from tests.support.virtual_card import RATE

RECONNECT_S: Final = 1.0
"""After a stream or a WebSocket has ended, until it is opened again."""


class WebListener:
    """Reads `/stream.wav` and the WebSocket `/api/live`."""

    def __init__(self, port: int) -> None:
        self._page = f"http://127.0.0.1:{port}"
        self._sound_bytes = 0
        self.messages = 0
        """Received over the WebSocket so far."""

    @property
    def heard_s(self) -> float:
        """Seconds of sound received so far."""
        return self._sound_bytes / (BYTES_PER_FRAME * RATE)

    async def run(self) -> None:
        """Read both until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=10.0)
        async with aiohttp.ClientSession(
            self._page, timeout=timeout, raise_for_status=True
        ) as session:
            await asyncio.gather(
                _reconnecting(lambda: self._listen(session)),
                _reconnecting(lambda: self._watch(session)),
            )

    async def _listen(self, session: aiohttp.ClientSession) -> None:
        async with session.get("/stream.wav") as answer:
            async for part in answer.content.iter_any():
                self._sound_bytes += len(part)

    async def _watch(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect("/api/live") as live:
            async for _message in live:
                self.messages += 1


async def _reconnecting(take: Callable[[], Coroutine[None, None, None]]) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await take()
        await asyncio.sleep(RECONNECT_S)


@contextlib.contextmanager
def web_listener(port: int) -> Iterator[WebListener]:
    """A web client in a thread of its own, as long as the context lasts."""
    client = WebListener(port)
    loop = asyncio.new_event_loop()
    task = loop.create_task(client.run())

    def work() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield client
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(5.0)
