"""What many listeners of the page's sound cost, and whether each of them hears all of it."""

from __future__ import annotations

import asyncio
from typing import Final

import psutil

from benchmarks import measure
from benchmarks.report import Row
from benchmarks.running_player import playing
from tests.support.broker import free_port
from tests.support.listeners import listening, processor_s
from tests.support.virtual_card import VirtualCard

LISTENERS: Final = 20
SETTLE_S: Final = 3.0
MEASURED_S: Final = 10.0

BAR_PERCENT: Final = 15.0
"""Of a core, for all of them."""

GAP_S: Final = 1e-6
"""A chunk that begins so much after the one before it: something was left out."""


def rows(card: VirtualCard) -> list[Row]:
    """The daemon's and its encoder's share of a core for the listeners, and parts missed."""
    port, seconds = free_port(), measure.amount(MEASURED_S, 4.0)
    with (
        measure.step(f"{LISTENERS} listeners"),
        playing(card, 1, f"[web]\nport = {port}\n") as player,
    ):
        player.attach()
        alone, full, steps = asyncio.run(_listen(port, player.process.pid, seconds))
    percent, missed = 100 * (full - alone), sum(step > GAP_S for step in steps)
    return [
        Row(
            f"{LISTENERS} listeners",
            f"{percent:.1f} % of a core, {missed} of {len(steps)} parts missed",
            f"≤ {BAR_PERCENT:g} %, 0 missed",
            percent <= BAR_PERCENT and not missed,
            "half by WebSocket, three Opus, the others WAV; the daemon and its encoder, without "
            f"what they take alone, {seconds:.0f} s",
        )
    ]


async def _listen(port: int, pid: int, seconds: float) -> tuple[float, float, list[float]]:
    """Shares of a core without and with listeners, and the steps between what they got."""
    daemon, loop = psutil.Process(pid), asyncio.get_running_loop()

    async def share() -> float:
        started, used = loop.time(), processor_s(daemon)
        await asyncio.sleep(seconds)
        return (processor_s(daemon) - used) / (loop.time() - started)

    await asyncio.sleep(SETTLE_S)
    alone = await share()
    async with listening(f"http://127.0.0.1:{port}", LISTENERS) as heard:
        await asyncio.sleep(SETTLE_S)
        return alone, await share(), heard.steps()
