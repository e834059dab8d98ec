"""The broadcast: every listener gets all items, or misses some if it is slow; none waits."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from appliance.audio import broadcast
from appliance.audio.broadcast import Broadcast, Publish
from appliance.errors import BachboxError


async def _take(source: Broadcast[int], count: int) -> list[int]:
    found = []
    async with contextlib.aclosing(source.listen()) as items:
        async for item in items:
            found.append(item)
            if len(found) == count:
                break
    return found


async def _counting(publish: Publish[int]) -> None:
    number = 0
    while True:
        publish(number)
        number += 1
        await asyncio.sleep(0.001)


def test_a_listener_gets_all_items_from_its_start_on() -> None:
    async def run() -> None:
        source = Broadcast(_counting, 32)
        for found in await asyncio.gather(*(_take(source, 50) for _ in range(20))):
            assert found == list(range(found[0], found[0] + 50))
        assert source.listeners == 0
        await source.close()

    asyncio.run(run())


def test_a_slow_listener_jumps_ahead_and_the_others_do_not_wait() -> None:
    async def run() -> None:
        source = Broadcast(_counting, 8)
        slow = source.listen()
        first = await anext(slow)
        assert len(await _take(source, 100)) == 100
        assert await anext(slow) > first + 50
        await slow.aclose()
        await source.close()

    asyncio.run(run())


def test_the_source_runs_only_while_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "LINGER_S", 0.01)
    begun = ended = 0

    async def source(publish: Publish[int]) -> None:
        nonlocal begun, ended
        begun += 1
        try:
            await _counting(publish)
        finally:
            ended += 1

    async def run() -> None:
        sent = Broadcast(source, 8)
        await _take(sent, 3)
        assert (begun, ended) == (1, 0)
        while not ended:
            await asyncio.sleep(0.01)
        await _take(sent, 3)
        assert begun == 2
        await sent.close()

    asyncio.run(run())


def test_an_error_of_the_source_reaches_every_listener_and_the_next_starts_it_again() -> None:
    tries = 0

    async def broken(publish: Publish[int]) -> None:
        nonlocal tries
        tries += 1
        publish(tries)
        await asyncio.sleep(0.01)
        raise BachboxError("it is broken")

    async def run() -> None:
        sent = Broadcast(broken, 8)
        for found in await asyncio.gather(_take(sent, 3), _take(sent, 3), return_exceptions=True):
            assert isinstance(found, BachboxError)
        with pytest.raises(BachboxError):
            await _take(sent, 3)
        assert tries == 2

    asyncio.run(run())


def test_a_cancelled_listener_does_not_end_the_others() -> None:
    async def run() -> None:
        source = Broadcast(_counting, 32)
        gone = asyncio.create_task(_take(source, 10**6))
        stays = asyncio.create_task(_take(source, 100))
        await asyncio.sleep(0.02)
        gone.cancel()
        assert len(await stays) == 100
        assert source.listeners == 0
        await source.close()

    asyncio.run(run())
