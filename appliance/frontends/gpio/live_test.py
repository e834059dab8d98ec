"""``bachbox doctor --gpio``: print what each knob and button does, without any music."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from typing import Final

from appliance.config.gpio_schema import Encoder, Gpio, Part, pins_of, wired_parts
from appliance.errors import BachboxError, UsageError
from appliance.frontends.gpio.gpio_frontend import GpioFrontend
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import NowPlaying
from appliance.state.settings import Settings

BLINKS_PER_S: Final = 2


class _BlinkingSource:
    """Makes every LED blink."""

    def now_playing(self) -> NowPlaying:
        blink = int(time.monotonic() * BLINKS_PER_S)
        condition = Condition.NO_SOUND_CARD if blink % 2 else Condition.PLAYING
        return NowPlaying(
            condition=condition,
            model="",
            piece=1,
            key="",
            title="",
            group="",
            tempo_bpm=0.0,
            bar=1,
            beat=blink,
            beats_per_bar=4,
            seed=0,
        )

    def fault_count(self) -> int:
        return 0


def watch(gpio: Gpio, settings: Settings, print_line: Callable[[str], None]) -> None:
    """Print the parts, then each turn and press, until Ctrl-C; every LED blinks.

    Raises:
        UsageError: nothing is wired.
        BachboxError: the pins cannot be used.
    """
    parts = list(wired_parts(gpio))
    if not parts:
        raise UsageError("[gpio] is empty, so nothing is wired; docs/wiring.md shows how")
    for where, part, problem in parts:
        if not problem:
            print_line(f"{where}: pins {', '.join(map(str, pins_of(part)))}{_actions(part)}")

    def print_input(where: str, what: str) -> None:
        print_line(f"{where}: {what}")

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        frontend = asyncio.create_task(
            GpioFrontend(gpio, print_input, power_off_enabled=False).run(
                settings, _BlinkingSource()
            )
        )
        stopping = asyncio.create_task(stop.wait())
        print_line("turn the knobs and press the buttons; every LED blinks; Ctrl-C ends the test")
        await asyncio.wait([frontend, stopping], return_when=asyncio.FIRST_COMPLETED)
        failure = frontend.exception() if frontend.done() else None
        frontend.cancel()
        stopping.cancel()
        with contextlib.suppress(asyncio.CancelledError, BachboxError):
            await frontend
        if failure:
            raise failure

    asyncio.run(run())


def _actions(part: Part) -> str:
    if not isinstance(part, Encoder) or part.push is None:
        return ""
    held = f", held: {part.hold}" if part.hold else ""
    twice = f", twice: {part.double}" if part.double else ""
    return f", pushed: {part.press}{held}{twice}"
