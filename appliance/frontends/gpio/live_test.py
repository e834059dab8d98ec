"""`bachbox doctor --gpio`: what each knob does, shown as it is turned, without any music."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable

from appliance.config.gpio_schema import Encoder, Gpio, pins_of, wired
from appliance.errors import BachboxError, UsageError
from appliance.frontends.gpio.gpio_frontend import GpioFrontend
from appliance.ipc.shared_state import State
from appliance.state.box_status import CONDITIONS, BoxStatus, NowPlaying
from appliance.state.settings import Settings

BLINKS_PER_SECOND = 2


class _Stage(BoxStatus):
    """A box that plays nothing, only lets every LED blink."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def now_playing(self) -> NowPlaying:
        blink = int(time.monotonic() * BLINKS_PER_SECOND)
        condition = State.NO_CARD if blink % 2 else State.PLAYING
        return NowPlaying(CONDITIONS[condition], "", 1, "", 1, blink, 4, 0)

    def troubles(self) -> int:
        return 0


def watch(gpio: Gpio, settings: Settings, say: Callable[[str], None]) -> None:
    """Tell what hands do, until Ctrl-C; pins and troubles first.

    Raises:
        UsageError: nothing is wired.
        BachboxError: the pins cannot be used.
    """
    parts = list(wired(gpio))
    if not parts:
        raise UsageError("[gpio] is empty, so nothing is wired; docs/wiring.md shows how")
    for where, part, problem in parts:
        if not problem:
            say(f"{where}: pins {', '.join(map(str, pins_of(part)))}{_deeds(part)}")

    def tell(where: str, what: str) -> None:
        say(f"{where}: {what}")

    async def run() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        listener = asyncio.create_task(
            GpioFrontend(gpio, tell, harmless=True).run(settings, _Stage(say))
        )
        waiter = asyncio.create_task(ended.wait())
        say("turn and press; every LED blinks; Ctrl-C ends it")
        await asyncio.wait([listener, waiter], return_when=asyncio.FIRST_COMPLETED)
        failure = listener.exception() if listener.done() else None
        listener.cancel()
        waiter.cancel()
        with contextlib.suppress(asyncio.CancelledError, BachboxError):
            await listener
        if failure:
            raise failure

    asyncio.run(run())


def _deeds(part: object) -> str:
    if not isinstance(part, Encoder):
        return ""
    pushed = "" if part.push is None else f", pushed: {part.press}"
    return pushed + (f", held: {part.hold}" if part.push is not None and part.hold else "")
