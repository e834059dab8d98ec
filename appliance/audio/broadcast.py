"""One source, any number of listeners, none of whom waits for another.

The source works only while somebody listens. What it gives is kept for a moment; a listener who
is slower than that misses some, and one who has gone is missed by nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Final, Generic, TypeVar

from appliance.ipc.audio_tap import Sound, TapReader

T = TypeVar("T")

Give = Callable[[T], None]
"""Takes the next item from a source."""

POLL_INTERVAL_S: Final = 0.03
"""How often the sound is fetched: a listener hears it up to twice as much later."""

KEPT_SOUNDS: Final = 64
"""Two seconds: a listener who is further behind jumps ahead."""

LINGER_S: Final = 5.0
"""How long a source works on when nobody listens any more: one may come again."""


class Broadcast(Generic[T]):
    """Hands what ``source`` gives to everybody who listens; the newest ``kept`` are kept."""

    def __init__(self, source: Callable[[Give[T]], Awaitable[None]], kept: int) -> None:
        self._source = source
        self._kept: deque[T] = deque(maxlen=kept)
        self._next = 0
        """Number of the next item."""
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self.listeners = 0
        """How many listen now."""

    async def listen(self) -> AsyncGenerator[T, None]:
        """The items from now on, until you close the iterator (``contextlib.aclosing``).

        Raises:
            BachboxError: whatever the source raises, to everybody.
        """
        self.listeners += 1
        work = self._begin()
        at = self._next
        try:
            while True:
                while at == self._next and not work.done():
                    await self._news.wait()
                if at == self._next:
                    work.result()
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
                self._ending = loop.call_later(LINGER_S, work.cancel)

    async def close(self) -> None:
        """End the source; whoever still listens is done."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def _begin(self) -> asyncio.Task[None]:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        if self._work is None or self._work.done():
            self._kept.clear()
            self._work = asyncio.create_task(self._run())
            self._work.add_done_callback(lambda _work: self._wake())
        return self._work

    async def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._source(self._give)

    def _give(self, item: T) -> None:
        self._kept.append(item)
        self._next += 1
        self._wake()

    def _wake(self) -> None:
        # A new event for the next time: whoever waits for this one has been woken for good.
        news, self._news = self._news, asyncio.Event()
        news.set()


def of_the_sound(reader: Callable[[], TapReader]) -> Broadcast[Sound]:
    """The box's own sound, as it is played."""

    async def fetch(give: Give[Sound]) -> None:
        tap = reader()
        while True:
            if sound := tap.take():
                give(sound)
            await asyncio.sleep(POLL_INTERVAL_S)

    return Broadcast(fetch, KEPT_SOUNDS)
