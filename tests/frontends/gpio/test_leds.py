"""LEDs show what a box reports: music, beats, and faults for a while."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import gpiozero
import pytest
from gpiozero.pins.mock import MockFactory

from appliance.config.gpio_schema import Gpio, Led
from appliance.frontends.gpio import gpio_frontend
from appliance.frontends.gpio.gpio_frontend import GpioFrontend
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import NowPlaying

PLAYING, BEAT, TROUBLE = 20, 21, 12
LEDS = Gpio(leds=(Led(PLAYING, "playing"), Led(BEAT, "beat"), Led(TROUBLE, "trouble")))


class Source:
    """What the LEDs show, set by the test."""

    condition = Condition.PLAYING
    beat = 1
    faults = 0

    def now_playing(self) -> NowPlaying:
        return NowPlaying(
            condition=self.condition,
            model="chorales",
            piece=1,
            key="C major",
            title="Chorale in C major",
            group="",
            tempo_bpm=80.0,
            bar=1,
            beat=self.beat,
            beats_per_bar=4,
            seed=1,
        )

    def fault_count(self) -> int:
        return self.faults


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MockFactory]:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(gpio_frontend, "BEAT_FLASH_S", 0.2)
    monkeypatch.setattr(gpio_frontend, "TROUBLE_S", 0.2)
    factory = MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory
    factory.close()


TIMEOUT_S = 120.0


async def until(factory: MockFactory, pin: int, lit: bool) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while factory.pin(pin).function != "output" or factory.pin(pin).state != lit:
            await asyncio.sleep(0.005)


async def until_flashed(factory: MockFactory, pin: int, times: int) -> None:
    """Wait until it has been lit that often and is dark again, however short that was."""

    def has_flashed() -> bool:
        lit = [bool(state.state) for state in factory.pin(pin).states]
        return sum(now and not was for was, now in itertools.pairwise(lit)) == times and not lit[-1]

    async with asyncio.timeout(TIMEOUT_S):
        while factory.pin(pin).function != "output" or not has_flashed():
            await asyncio.sleep(0.005)


def run(source: Source, test: Any) -> None:
    async def both() -> None:
        settings: Any = None
        frontend = asyncio.create_task(GpioFrontend(LEDS).run(settings, source))
        try:
            await test()
        finally:
            frontend.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await frontend

    asyncio.run(both())


def test_trouble_led_is_dark_until_a_fault_and_again_some_time_after_it(
    factory: MockFactory,
) -> None:
    source = Source()
    source.faults = 3

    async def test() -> None:
        await until(factory, PLAYING, True)
        await asyncio.sleep(2 * gpio_frontend.TROUBLE_S)
        assert not any(state.state for state in factory.pin(TROUBLE).states)
        source.faults += 1
        await until_flashed(factory, TROUBLE, 1)

    run(source, test)


def test_trouble_led_is_lit_while_there_is_no_sound_card(factory: MockFactory) -> None:
    source = Source()

    async def test() -> None:
        await until(factory, PLAYING, True)
        source.condition = Condition.NO_SOUND_CARD
        await until(factory, TROUBLE, True)
        await until(factory, PLAYING, False)
        await asyncio.sleep(2 * gpio_frontend.TROUBLE_S)
        assert factory.pin(TROUBLE).state
        source.condition = Condition.PLAYING
        await until(factory, TROUBLE, False)

    run(source, test)


def test_beat_led_flashes_at_each_beat_and_not_during_a_pause(factory: MockFactory) -> None:
    source = Source()

    async def test() -> None:
        await until_flashed(factory, BEAT, 1)
        source.beat += 1
        await until_flashed(factory, BEAT, 2)
        source.condition = Condition.PAUSED
        await until(factory, PLAYING, False)
        source.beat += 1
        await asyncio.sleep(gpio_frontend.BEAT_FLASH_S)
        assert not factory.pin(BEAT).state

    run(source, test)
