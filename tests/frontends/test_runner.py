"""A control is a guest: whatever it does, the others and the music go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from appliance import frontends
from appliance.errors import BachboxError
from appliance.frontends import Frontend, FrontendRunner
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings


class Log:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


class Guest:
    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.name = "guest"
        self.work = work
        self.runs = 0

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        self.runs += 1
        await self.work()


def host(*guests: Frontend, seconds: float = 0.1) -> list[str]:
    """Run the controls for a while; what was said."""
    log = Log()
    settings = Settings(RequestedSettings("m"), lambda: ["m"], lambda _: ModelDefaults(80, 1, 1, 0))

    async def run() -> None:
        hands = FrontendRunner(guests, settings, cast(BoxStatus, log))
        hands.start()
        await asyncio.sleep(seconds)
        await hands.stop()

    asyncio.run(run())
    return log.said


async def wait() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    return


async def refuse() -> None:
    raise BachboxError("the pins are gone")


async def break_down() -> None:
    raise RuntimeError("oops")


def test_one_that_cannot_work_says_so_once_and_the_others_work() -> None:
    good, bad, idle = Guest(wait), Guest(refuse), Guest(nothing)
    assert host(bad, good, idle) == ["bachbox: guest: the pins are gone"]
    assert (bad.runs, good.runs, idle.runs) == (1, 1, 1)


def test_one_that_breaks_is_tried_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontends, "RETRY_FIRST_S", 0.05)
    guest = Guest(break_down)
    said = host(guest, seconds=0.25)
    assert guest.runs == 3
    assert "RuntimeError: oops); the music goes on, next try in 0.05 s" in said[0]
    assert "next try in 0.1 s" in said[1]


def test_one_that_will_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    async def stubborn() -> None:
        try:
            await wait()
        finally:
            await asyncio.sleep(0.5)
            ended.append(True)

    async def tidy() -> None:
        try:
            await wait()
        finally:
            ended.append(False)

    host(Guest(stubborn), Guest(tidy))
    assert ended[0] is False
