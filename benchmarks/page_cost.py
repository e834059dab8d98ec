"""What the page costs Chromium: processor time while the music plays, and while it is paused.

For a user who has not asked for reduced motion: the roll moves in every picture.
"""

from __future__ import annotations

import time
from typing import Final

import psutil
from playwright.sync_api import Page

from benchmarks import measure
from benchmarks.measure import UnavailableError
from benchmarks.report import Row
from benchmarks.running_player import playing
from tests.support.broker import free_port
from tests.support.browser import chromium, page, wait_until
from tests.support.virtual_card import VirtualCard

SETTLE_S: Final = 4.0
MEASURED_S: Final = 20.0

PLAYING_BAR_PERCENT: Final = 10.0
PAUSED_BAR_PERCENT: Final = 2.0

SIZE: Final = {"width": 1280, "height": 800}


def rows(card: VirtualCard) -> list[Row]:
    """The share of a core that Chromium, without a graphics card, takes for the page."""
    port = free_port()
    with measure.step("the page"), playing(card, 1, f"[web]\nport = {port}\n") as player:
        player.attach()
        try:
            with (
                chromium() as browser,
                page(
                    browser,
                    f"http://127.0.0.1:{port}/",
                    viewport=SIZE,
                    reduced_motion="no-preference",
                ) as one,
            ):
                return [
                    _row("playing", PLAYING_BAR_PERCENT, one),
                    _row("paused", PAUSED_BAR_PERCENT, one),
                ]
        except RuntimeError as why:
            raise UnavailableError(str(why)) from why


def _row(condition: str, bar_percent: float, one: Page) -> Row:
    is_playing = condition == "playing"
    one.evaluate("(playing) => void bachbox.connection.request({set: {playing}})", is_playing)
    wait_until(one, "(playing) => bachbox.clock.isMoving === playing", is_playing)
    time.sleep(SETTLE_S)
    drawn, used_s, begun_s = _drawn(one), _processor_s(), time.monotonic()
    time.sleep(measure.amount(MEASURED_S, 4.0))
    seconds = time.monotonic() - begun_s
    percent = 100 * (_processor_s() - used_s) / seconds
    return Row(
        f"the page in Chromium, {condition}",
        f"{percent:.1f} % of a core, {(_drawn(one) - drawn) / seconds:.0f} paintings a second",
        f"≤ {bar_percent:g} %",
        percent <= bar_percent,
        f"{SIZE['width']} by {SIZE['height']} pixels, ordinary motion, without a graphics card, "
        f"{seconds:.0f} s",
    )


def _drawn(one: Page) -> int:
    """How often the page has painted; the compositor moves the roll between."""
    return int(one.evaluate("bachbox.roll.frames"))


def _processor_s() -> float:
    """Return the processor time of all processes of the browser so far."""
    children = psutil.Process().children(recursive=True)
    used = [one.cpu_times() for one in children if "chrom" in one.name()]
    return sum(times.user + times.system for times in used)
