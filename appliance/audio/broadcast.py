"""Passes items from one source to any number of listeners, which never wait for one another.

The source runs only while there are listeners. The newest items are kept, and a listener that falls
further behind misses some.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeVar

from appliance.ipc.audio_tap import Sound, TapReader

T = TypeVar("T")

Publish = Callable[[T], None]
"""What a source calls with each item."""

POLL_INTERVAL_S: Final = 0.03
"""How often sound is fetched; the delay of a listener is up to twice this."""

MAX_KEPT_SOUNDS: Final = 64
"""Two seconds; a listener that is further behind jumps ahead."""

LINGER_S: Final = 5.0
"""How long a source keeps running without listeners: one may soon return."""


class Broadcast(Generic[T]):
    """Passes the items of a source to everybody who listens.

    Args:
        source: a coroutine function that calls its argument with each item, and runs until it is
            cancelled.
        max_kept: how many of the newest items are kept.
    """

    def __init__(self, source: Callable[[Publish[T]], Awaitable[None]], max_kept: int) -> None:
        self._source = source
        self._kept: deque[T] = deque(maxlen=max_kept)
        self._next = 0
        """Serial number of the next item."""
        self._new_item = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.listeners = 0
        """How many are listening."""

    async def listen(self) -> AsyncGenerator[T, None]:
        """Yield the items from now on; close the iterator with ``contextlib.aclosing``.

        Raises:
            BachboxError: what the source raises reaches every listener.
        """
        self.listeners += 1
        task = self._begin()
        at = self._next
        try:
            while True:
                while at == self._next and not task.done():
                    await self._new_item.wait()
                if at == self._next:
                    task.result()
                    return
                if at < self._next - len(self._kept):
                    at = self._next - 1
                item = self._kept[at - self._next]
                at += 1
                yield item
        finally:
            self.listeners -= 1
            if not self.listeners:
                loop = asyncio.get_running_loop()
                self._ending = loop.call_later(LINGER_S, task.cancel)

    async def close(self) -> None:
        """End the source, and with it every iteration."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> asyncio.Task[None]:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._task is None or self._task.done():
            self._kept.clear()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(lambda _task: self._wake())
        return self._task

    async def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._source(self._publish)

    def _publish(self, item: T) -> None:
        self._kept.append(item)
        self._next += 1
        self._wake()

    def _wake(self) -> None:
        # The old event stays set for those that wait for it; the next item has a new one.
        new_item, self._new_item = self._new_item, asyncio.Event()
        new_item.set()


def sound_broadcast(reader: Callable[[], TapReader]) -> Broadcast[Sound]:
    """Return a broadcast of the sound that is played.

    Args:
        reader: returns a new reader of the audio tap.
    """

    async def fetch(publish: Publish[Sound]) -> None:
        tap = reader()
        while True:
            if sound := tap.take():
                publish(sound)
            await asyncio.sleep(POLL_INTERVAL_S)

    return Broadcast(fetch, MAX_KEPT_SOUNDS)
