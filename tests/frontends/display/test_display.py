"""A display shows what the box does, whatever its bus does; the drivers are luma's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import smbus2
from PIL import ImageChops

from appliance.config.schema import Display
from appliance.errors import BachboxError
from appliance.frontends.display import display_frontend, panels
from appliance.frontends.display.display_frontend import DisplayFrontend
from appliance.frontends.display.panels import draw, open_panel
from appliance.frontends.display.screens import Screen
from tests.frontends.display.box import Box, settings
from tests.frontends.display.glass import Bus, OledBus, TextBus
from tests.support.display_picture import PLAYING as SCREEN
from tests.support.display_picture import STATES
from tests.support.log_lines import log_lines


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bus], None]:
    """Puts a bus where smbus2 finds it."""
    return lambda bus: monkeypatch.setattr(smbus2, "SMBus", lambda _port: bus)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_frontend, "RETRY_FIRST_S", 0.02)
    monkeypatch.setattr(display_frontend, "RETRY_MAX_S", 0.05)
    monkeypatch.setattr(display_frontend, "POLL_INTERVAL_S", 0.01)


def run(
    display: Display, box: Box, test: Callable[[], Awaitable[None]], **how: Any
) -> list[logging.LogRecord]:
    """Run the frontend beside ``test``; return what was logged."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign,assignment]
    display_frontend.logger.addHandler(handler)

    async def both() -> None:
        frontend = asyncio.create_task(DisplayFrontend(display, **how).run(settings(), box))
        try:
            await test()
        finally:
            frontend.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await frontend

    try:
        asyncio.run(both())
    finally:
        display_frontend.logger.removeHandler(handler)
    return records


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("driver", "size", "rotate"),
    [("ssd1306", (128, 64), 0), ("ssd1306", (128, 32), 180), ("sh1106", (128, 64), 180)],
)
def test_an_oled_shows_the_picture(
    plug: Callable[[Bus], None], driver: Any, size: tuple[int, int], rotate: Any
) -> None:
    bus = OledBus(*size)
    plug(bus)
    display = Display(driver, "x".join(map(str, size)), rotate=rotate)  # type: ignore[arg-type]
    panel = open_panel(display)
    panel.show(SCREEN)
    expected = draw(SCREEN, size).rotate(rotate)
    assert ImageChops.logical_xor(bus.picture(), expected).getbbox() is None
    assert bus.contrast == 204
    panel.show(SCREEN._replace(brightness=0))
    assert bus.picture().getbbox() is None
    panel.show(SCREEN)
    assert bus.picture().getbbox() is not None
    panel.close()
    assert bus.picture().getbbox() is None


def test_a_text_display_shows_the_lines(plug: Callable[[Bus], None]) -> None:
    bus = TextBus(20, 4)
    plug(bus)
    panel = open_panel(Display("hd44780", "20x4"))
    panel.show(SCREEN)
    assert bus.lines() == [
        "Sarabande in d minor",
        "d minor       66 BPM",
        "Church Organ        ",
        ".*.           bar 12",
    ]
    lit = [bus.is_lit]
    for brightness in (0, 80):
        panel.show(SCREEN._replace(brightness=brightness))
        lit.append(bus.is_lit)
    assert bus.lines()[0] == "Sarabande in d minor"
    panel.close()
    assert [*lit, bus.is_lit] == [True, False, True, False]


def test_beats_are_drawn_and_nothing_else_is(plug: Callable[[Bus], None]) -> None:
    bus, box = OledBus(), Box()
    plug(bus)
    display = Display("ssd1306")

    async def test() -> None:
        await until(lambda: bus.picture().getbbox() is not None)
        # It is drawn once; a busy machine takes its time for it.
        async with asyncio.timeout(60):
            sent = 0
            while bus.sent_bytes > sent:
                sent = bus.sent_bytes
                await asyncio.sleep(0.3)
        first = bus.picture()
        box.change(beat=3)
        await until(lambda: ImageChops.logical_xor(bus.picture(), first).getbbox() is not None)
        # The third dot is full and the second empty; they begin at 12 and 24.
        left, top, right, _ = ImageChops.logical_xor(bus.picture(), first).getbbox() or (0,) * 4
        assert left >= 12
        assert top >= 54
        assert right <= 34

    assert not run(display, box, test)
    assert bus.picture().getbbox() is None


def test_a_display_that_fails_is_opened_again_and_said_once(plug: Callable[[Bus], None]) -> None:
    bus, box = OledBus(), Box()
    plug(bus)

    async def test() -> None:
        await until(lambda: bus.picture().getbbox() is not None)
        bus.is_broken = True
        box.change(beat=3)
        await until(lambda: bool(lines))
        # Time to say it twice.
        await asyncio.sleep(0.3)
        sent, bus.is_broken = bus.sent_bytes, False
        await until(lambda: bus.sent_bytes > sent + 128 * 8 * 2)

    with log_lines() as lines:
        messages = [record.getMessage() for record in run(Display("ssd1306"), box, test)]
    assert len(messages) == 2, messages
    assert "I2C device not found on address: 0x3C" in messages[0]
    assert messages[1] == "display: it works again"


def test_a_bus_that_hangs_stops_nothing_and_is_said_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(display_frontend, "HANG_S", 0.05)
    answers, hangs = threading.Event(), threading.Event()

    class HungPanel:
        def show(self, _screen: Screen) -> None:
            hangs.set()
            answers.wait(60)

        def close(self) -> None:
            pass

    async def test() -> None:
        await until(hangs.is_set)
        for beat in (1, 2, 3) * 20:
            box.change(beat=beat)
            await asyncio.sleep(0.01)

    box = Box()
    records = run(Display("ssd1306"), box, test, open_panel=lambda _display: HungPanel())
    answers.set()
    assert [record.getMessage() for record in records] == [
        "display: its bus hangs; the display shows something old until it answers"
    ]


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (FileNotFoundError(2, "no", "/dev/i2c-1"), "there is no /dev/i2c-1; switch I2C on"),
        (PermissionError(13, "no", "/dev/i2c-1"), "/dev/i2c-1 may not be used; sudo usermod"),
    ],
)
def test_why_a_display_cannot_be_opened_is_said(
    monkeypatch: pytest.MonkeyPatch, problem: OSError, said: str
) -> None:
    def refuse(_port: int) -> None:
        raise problem

    monkeypatch.setattr(smbus2, "SMBus", refuse)
    with pytest.raises(BachboxError, match=said):
        open_panel(Display("sh1106"))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "luma.lcd.device", None)
    with pytest.raises(BachboxError, match=r"luma\.lcd\.device is missing; run "):
        panels.load_drivers(Display("hd44780"))


def test_a_box_without_a_display_imports_nothing_for_it() -> None:
    code = (
        "import sys, appliance.cli.play\n"
        "from appliance.cli.play import _frontends\n"
        "from appliance.frontends.library import new_library\n"
        "from appliance.config.loader import Config\n"
        "from appliance.config.schema import Web\n"
        "from appliance.state.settings import Settings\n"
        "from unittest.mock import MagicMock\n"
        "_frontends(Config(web=Web(port=0)), MagicMock(), MagicMock(), MagicMock())\n"
        "print(*sys.modules)"
    )
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "appliance.frontends.local_socket" in modules
    assert not {"PIL", "luma", "smbus2", "appliance.frontends.display"} & set(modules)


def test_no_two_states_look_alike_and_none_leaves_the_glass() -> None:
    pictures = [draw(screen, (128, 64)) for screen in STATES]
    assert len({picture.tobytes() for picture in pictures}) == len(STATES)
    for picture in pictures:
        left, top, right, bottom = picture.getbbox() or (0,) * 4
        assert 0 <= left < right <= 128
        assert 0 <= top < bottom <= 64


@pytest.mark.parametrize("text", ["Fuga", "Prelude", "BPM"])
def test_first_and_last_letters_are_whole(text: str) -> None:
    """Each letter looks as it does among others."""
    alone, among = (
        draw(Screen(title, brightness=80), (128, 64)) for title in (text, f"I {text} I")
    )
    box = alone.getbbox() or (0,) * 4
    assert box[0] <= 1
    moved = among.crop((12, 0, 12 + 6 * len(text) + 2, 11))
    assert ImageChops.logical_xor(alone.crop((0, 0, *moved.size)), moved).getbbox() is None


@pytest.mark.parametrize(("size", "middle"), [((128, 64), 38), ((128, 32), 11)])
def test_what_stands_left_and_right_of_a_line_does_not_touch(
    size: tuple[int, int], middle: int
) -> None:
    display = Display("ssd1306", "x".join(map(str, size)))  # type: ignore[arg-type]
    columns = panels.layout_of(display).instrument_columns
    full = SCREEN._replace(instrument="M" * columns, tempo_bpm=240, silent="no sound card", bar=128)
    picture, bottom = draw(full, size), size[1] - 11
    assert picture.crop((0, middle, 78, middle + 11)).getbbox()
    assert picture.crop((81, middle, 84, middle + 11)).getbbox() is None
    assert picture.crop((81, bottom, 84, bottom + 11)).getbbox() is None
    assert picture.crop((84, bottom, 128, bottom + 11)).getbbox()
    # Where the bar would touch, it gives way.
    picture = draw(full._replace(bar=1024), size)
    assert picture.crop((81, bottom, 128, bottom + 11)).getbbox() is None
