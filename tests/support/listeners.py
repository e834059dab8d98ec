"""Many listeners at once, in all the ways in which the page gives its sound."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import psutil


@dataclass
class Heard:
    """What the listeners have got so far, one entry for each."""

    sockets: list[list[tuple[float, float]]] = field(default_factory=list)
    """By WebSocket: from where to where in the sound each chunk goes, in seconds."""
    opus: list[int] = field(default_factory=list)
    """By ``/stream.opus``: bytes."""
    wav: list[int] = field(default_factory=list)
    """By ``/stream.wav``: bytes."""

    def amounts(self) -> list[int]:
        """How much each has got: chunks or bytes."""
        return [*map(len, self.sockets), *self.opus, *self.wav]

    def steps(self) -> list[float]:
        """How far each chunk begins after the end of the one before, in seconds."""
        return [
            start - before
            for chunks in self.sockets
            for (_, before), (start, _) in itertools.pairwise(chunks)
        ]


@contextlib.asynccontextmanager
async def listening(url: str, count: int) -> AsyncIterator[Heard]:
    """``count`` listeners of the box at ``url``: half by WebSocket, three Opus, all others WAV.

    Raises:
        AssertionError: one of them was disconnected.
    """
    opus = 3
    wav = count - count // 2 - opus
    heard = Heard([[] for _ in range(count // 2)], [0] * opus, [0] * wav)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [
            *(asyncio.create_task(_by_socket(session, url, chunks)) for chunks in heard.sockets),
            *(asyncio.create_task(_by_http(session, f"{url}/stream.opus", heard.opus, at))
              for at in range(opus)),
            *(asyncio.create_task(_by_http(session, f"{url}/stream.wav", heard.wav, at))
              for at in range(wav)),
        ]  # fmt: skip
        try:
            yield heard
            assert not [task for task in tasks if task.done()], "a listener was disconnected"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def processor_s(daemon: psutil.Process) -> float:
    """Processor time of a daemon and of its Opus encoder so far."""
    found = [daemon, *(c for c in daemon.children() if c.name().startswith("opusenc"))]
    return sum(process.cpu_times().user + process.cpu_times().system for process in found)


async def _by_socket(
    session: aiohttp.ClientSession, url: str, chunks: list[tuple[float, float]]
) -> None:
    async with session.ws_connect(f"{url}/api/listen", max_msg_size=1 << 20) as stream:
        assert (await stream.receive_json())["sample_rate"] == 48_000
        async for message in stream:
            start, end = struct.unpack_from("<dd", message.data)
            chunks.append((start, end))


async def _by_http(session: aiohttp.ClientSession, url: str, got: list[int], at: int) -> None:
    async with session.get(url) as answer:
        assert answer.status == 200
        while part := await answer.content.readany():
            got[at] += len(part)
