"""A frontend is a guest: whatever it does, the others and the music go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from appliance.daemon.daemon_log import RecentLines
from appliance.errors import BachboxError
from appliance.frontends import runner
from appliance.frontends.base import Frontend
from appliance.frontends.lazy_frontend import LazyFrontend
from appliance.frontends.runner import FrontendRunner
from appliance.state.box_status import BoxStatus
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings


class Guest:
    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.name = "guest"
        self.work = work
        self.runs = 0

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        self.runs += 1
        await self.work()


def run_for_a_while(
    *frontends: Frontend, until: Callable[[], bool] = lambda: True, seconds: float = 0.1
) -> None:
    """Run ``frontends`` for ``seconds``, and on until ``until`` holds."""
    settings = Settings(
        RequestedSettings(model="m"), lambda: ["m"], lambda _: ModelDefaults(80, 1, 1, 0)
    )

    async def run() -> None:
        frontend_runner = FrontendRunner(frontends, settings, cast(BoxStatus, None))
        frontend_runner.start()
        await asyncio.sleep(seconds)
        while not until():
            await asyncio.sleep(0.01)
        await frontend_runner.stop()

    asyncio.run(run())


async def wait() -> None:
    await asyncio.Event().wait()


async def nothing() -> None:
    return


async def refuse() -> None:
    raise BachboxError("the pins are gone")


async def break_down() -> None:
    raise RuntimeError("oops")


def test_frontend_that_cannot_work_says_so_once_and_the_others_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good, bad, idle = Guest(wait), Guest(refuse), Guest(nothing)
    run_for_a_while(bad, good, idle)
    assert caplog.messages == ["guest: the pins are gone"]
    assert (bad.runs, good.runs, idle.runs) == (1, 1, 1)
    # It stays off until the box is restarted, so status and health page say it, too.
    recent = RecentLines()
    for record in caplog.records:
        recent.handle(record)
    assert recent.notices() == ["guest: the pins are gone"]


def test_frontend_that_breaks_is_tried_again_later_and_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "RETRY_FIRST_S", 0.05)
    guest = Guest(break_down)
    run_for_a_while(guest, until=lambda: guest.runs >= 3)
    assert "RuntimeError: oops); the music continues, next try in 0.05 s" in caplog.messages[0]
    assert "next try in 0.1 s" in caplog.messages[1]
    assert "next try in 0.2 s" in caplog.messages[2]


def test_frontend_that_breaks_leaves_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    run_for_a_while(Guest(break_down))
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[0] is RuntimeError


def test_frontend_that_will_not_end_is_left() -> None:
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

    run_for_a_while(Guest(stubborn), Guest(tidy))
    assert ended[0] is False


made: list[str] = []


class Made:
    name = "made"

    def __init__(self, argument: str) -> None:
        made.append(argument)

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        made.append("runs")


def test_lazy_frontend_is_made_when_it_is_run() -> None:
    lazy = LazyFrontend("lazy", f"{__name__}:Made", "argument")
    assert not made
    run_for_a_while(lazy, until=lambda: len(made) >= 2)
    assert made == ["argument", "runs"]
