"""Knobs, buttons and LEDs on the pins of a Raspberry Pi, through gpiozero.

gpiozero and lgpio call back from threads of their own, and the potentiometers are read in another
thread. All of these threads only schedule functions in the event loop, where everything happens. A
part that cannot work is logged once, and the others work.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, Final, Protocol

from appliance.config.gpio_schema import (
    HOLD_S,
    POWER_OFF,
    Button,
    ButtonAction,
    Encoder,
    Gpio,
    Led,
    Part,
    Pot,
    wired_parts,
)
from appliance.errors import BachboxError
from appliance.frontends.button_actions import press
from appliance.frontends.gpio import overlays
from appliance.frontends.gpio.buttons import DebouncedButton
from appliance.frontends.gpio.pin_factory import check_spi, open_pin_factory
from appliance.frontends.gpio.potentiometers import NoiseFilter, SoftTakeover
from appliance.frontends.gpio.rotary_encoders import QuadratureDecoder, value_after_clicks
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import NowPlaying
from appliance.state.settings import Settings

SAMPLE_INTERVAL_S: Final = 0.02
"""How often the potentiometers are read."""

LED_INTERVAL_S: Final = 0.02
"""How often the LEDs are updated; a beat is shown at most this late."""

BEAT_FLASH_S: Final = 0.09
"""How long the beat LED is lit at each beat."""

TROUBLE_S: Final = 10.0
"""How long the trouble LED is lit after an xrun or a restart."""

GLITCH_S: Final = 0.002
"""A button contact that closes for less than this is interference from a neighbouring cable."""

POWER_OFF_COMMAND: Final = ("systemctl", "poweroff")

OnInput = Callable[[str, str], None]
"""Called with the name of a part and what it did, in the event loop's thread."""

logger = logging.getLogger(__name__)


class LedSource(Protocol):
    """What the LEDs show; :class:`appliance.state.box_status.BoxStatus` is one."""

    def now_playing(self) -> NowPlaying:
        """Return what is playing."""

    def fault_count(self) -> int:
        """Return a number that rises with each xrun, block without music and restart."""


class GpioFrontend:
    """The parts that are wired to the pins.

    Args:
        gpio: the parts.
        on_input: called at each turn and press.
        power_off_enabled: False if the button that switches the machine off must not do it.
    """

    name = "pins"

    def __init__(
        self,
        gpio: Gpio,
        on_input: OnInput = lambda _part, _what: None,
        *,
        power_off_enabled: bool = True,
    ) -> None:
        self._gpio = gpio
        self._on_input = on_input
        self._power_off_enabled = power_off_enabled
        self._loop: asyncio.AbstractEventLoop
        self._settings: Settings
        self._box: LedSource
        self._leds: list[tuple[str, Any]] = []
        """What an LED shows, and gpiozero's device."""
        self._pots: list[tuple[str, Pot, Any]] = []
        """The name of a potentiometer, its config, and gpiozero's device."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, settings: Settings, box: LedSource) -> None:
        """Serve the pins until cancelled.

        Raises:
            BachboxError: the pins cannot be opened.
        """
        self._loop, self._settings, self._box = asyncio.get_running_loop(), settings, box
        self._leds, self._pots = [], []
        with contextlib.ExitStack() as stack:
            # Importing gpiozero takes a second on a small Pi.
            await asyncio.to_thread(self._claim_all, stack)
            if self._pots:
                self._start_sampling(stack)
            await self._update_leds()

    def _claim_all(self, stack: contextlib.ExitStack) -> None:
        """Claim the pins of every part; not for the event loop's thread."""
        factory = open_pin_factory(stack)
        used = overlays.pins_in_use()
        for where, part, found in wired_parts(self._gpio):
            if problem := found or overlays.clash(part, used):
                _warn(where, problem)
                continue
            try:
                if isinstance(part, Pot):
                    check_spi(part)
                self._claim(where, part, factory, stack)
            except BachboxError as error:
                _warn(where, str(error))
            except Exception as error:
                # gpiozero, lgpio and spidev each have exceptions of their own.
                reason = str(error) or type(error).__name__
                _warn(where, f"{reason.rstrip('.')}; is another program using it?")

    def _claim(self, where: str, part: Part, factory: Any, stack: contextlib.ExitStack) -> None:
        import gpiozero

        match part:
            case Encoder():
                self._claim_encoder(where, part, factory, stack)
                if part.push is not None:
                    push = Button(part.push, part.press, part.hold, part.double)
                    self._claim_button(where, push, factory, stack)
            case Button():
                self._claim_button(where, part, factory, stack)
            case Pot():
                with warnings.catch_warnings():
                    # gpiozero warns of slow SPI in software; check_spi has found the real one.
                    warnings.simplefilter("ignore")
                    pot = gpiozero.MCP3008(
                        part.channel, port=0, device=part.select, pin_factory=factory
                    )
                stack.callback(pot.close)
                self._pots.append((where, part, pot))
            case Led():
                led = gpiozero.LED(part.pin, pin_factory=factory)
                stack.callback(led.close)
                self._leds.append((part.shows, led))

    def _claim_encoder(
        self, where: str, part: Encoder, factory: Any, stack: contextlib.ExitStack
    ) -> None:
        import gpiozero

        # Not gpiozero's RotaryEncoder, which knows one detent a cycle only.
        decoder = QuadratureDecoder(part.detents_per_cycle)

        def on_edge(is_a: bool, closed: bool) -> None:
            if clicks := decoder.edge(is_a, closed):
                self._call_in_loop(self._encoder_turned, where, part, clicks)

        for pin, is_a in ((part.a, True), (part.b, False)):
            contact = gpiozero.DigitalInputDevice(pin, pull_up=True, pin_factory=factory)
            stack.callback(contact.close)
            on_edge(is_a, bool(contact.is_active))
            contact.when_activated = functools.partial(on_edge, is_a, True)
            contact.when_deactivated = functools.partial(on_edge, is_a, False)

    def _claim_button(
        self, where: str, part: Button, factory: Any, stack: contextlib.ExitStack
    ) -> None:
        import gpiozero

        contact = gpiozero.DigitalInputDevice(
            part.pin,
            pull_up={"up": True, "down": False, "off": None}[part.pull],
            active_state=part.is_active_high if part.pull == "off" else None,
            bounce_time=GLITCH_S,
            pin_factory=factory,
        )
        stack.callback(contact.close)
        # gpiozero ties the active level to the pull; a normally closed contact has the other one.
        is_inverted = part.pull != "off" and part.is_active_high == (part.pull == "up")

        def do(action: ButtonAction | None) -> Callable[[], None] | None:
            return None if action is None else lambda: self._do(where, action)

        button = DebouncedButton(
            lambda: bool(contact.is_active) != is_inverted,
            self._loop.call_later,
            do(part.press) or (lambda: None),
            do(part.hold),
            HOLD_S,
            do(part.double),
        )
        contact.when_activated = lambda: self._call_in_loop(button.on_edge, not is_inverted)
        contact.when_deactivated = lambda: self._call_in_loop(button.on_edge, is_inverted)

    def _call_in_loop(self, function: Callable[..., object], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # The loop is closed: the box has ended.
            self._loop.call_soon_threadsafe(function, *arguments)

    def _encoder_turned(self, where: str, part: Encoder, clicks: int) -> None:
        value = value_after_clicks(self._settings, part.turns, clicks, part.step)
        self._change(where, part.turns, value)

    def _pot_turned(self, where: str, part: Pot, takeover: SoftTakeover, position: float) -> None:
        value = takeover.turn(self._settings, part.turns, position)
        if value is not None:
            self._change(where, part.turns, value)
        else:
            self._on_input(where, f"at {position:.0%}, not yet at the current {part.turns}")

    def _change(self, where: str, name: str, value: object) -> None:
        try:
            self._settings.change(name, value)
        except BachboxError as error:
            _warn(where, str(error))
            return
        self._on_input(where, f"{name} {value}")

    def _do(self, where: str, action: ButtonAction) -> None:
        if action != POWER_OFF:
            try:
                self._on_input(where, press(self._settings, action))
            except BachboxError as error:
                _warn(where, str(error))
            return
        self._on_input(where, action)
        if self._power_off_enabled:
            task = self._loop.create_task(self._power_off(where))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _power_off(self, where: str) -> None:
        logger.info("switched off by its button")
        try:
            process = await asyncio.create_subprocess_exec(
                *POWER_OFF_COMMAND,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            code = await process.wait()
        except OSError as error:
            _warn(where, f"{POWER_OFF_COMMAND[0]} cannot be run ({error.strerror})")
            return
        if code:
            _warn(
                where,
                "the system refuses to power off; allow it for this user (polkit), or run as root",
            )

    def _start_sampling(self, stack: contextlib.ExitStack) -> None:
        """Read the potentiometers in a thread, until the stack is closed."""
        stopped = threading.Event()
        pots = [
            (where, part, pot, NoiseFilter(), SoftTakeover()) for where, part, pot in self._pots
        ]

        def sample() -> None:
            while not stopped.wait(SAMPLE_INTERVAL_S):
                for where, part, pot, noise_filter, takeover in pots:
                    try:
                        position = noise_filter.update(pot.value)
                    except Exception as error:
                        if not stopped.is_set():
                            _warn(
                                where,
                                f"can no longer be read ({error}); no potentiometer works now",
                            )
                        return
                    if position is not None:
                        self._call_in_loop(self._pot_turned, where, part, takeover, position)

        thread = threading.Thread(target=sample, name="pots", daemon=True)
        thread.start()
        # The thread ends before the converter is closed.
        stack.callback(thread.join, 10 * SAMPLE_INTERVAL_S)
        stack.callback(stopped.set)

    async def _update_leds(self) -> None:
        """Show the state of the box on the LEDs, until cancelled."""
        if not self._leds:
            await asyncio.Event().wait()
        beat_until = trouble_until = 0.0
        last_beat: tuple[int, int, int] | None = None
        last_faults: int | None = None
        shown: dict[str, bool] = {}
        while True:
            now, music = time.monotonic(), self._box.now_playing()
            playing = music.condition is Condition.PLAYING
            beat = (music.piece, music.bar, music.beat)
            if beat != last_beat:
                last_beat, beat_until = beat, now + BEAT_FLASH_S
            faults = self._box.fault_count()
            if last_faults is not None and faults != last_faults:
                trouble_until = now + TROUBLE_S
            last_faults = faults
            lit = {
                "playing": playing,
                "beat": playing and now < beat_until,
                "trouble": now < trouble_until or music.condition is Condition.NO_SOUND_CARD,
            }
            for shows, led in self._leds:
                if lit[shows] != shown.get(shows):
                    led.value = lit[shows]
            shown = lit
            await asyncio.sleep(LED_INTERVAL_S)


def _warn(where: str, problem: str) -> None:
    logger.warning("%s: %s", where, problem)
