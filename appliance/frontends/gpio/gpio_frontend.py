"""Knobs, buttons and LEDs on the pins of a Raspberry Pi, through gpiozero.

gpiozero and lgpio call back from threads of their own, and potentiometers are read in one of
ours; all of them only hand a small function over to the event loop, where everything happens.
What cannot work is told once, and the rest works.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from appliance.config.gpio_schema import (
    POWER_OFF,
    Button,
    ButtonAction,
    Encoder,
    Gpio,
    Led,
    Part,
    Pot,
    wired,
)
from appliance.errors import BachboxError
from appliance.frontends.gpio.knobs import DebouncedButton, NoiseFilter, SoftTakeover, clicked
from appliance.ipc.shared_state import State
from appliance.state.box_status import CONDITIONS, BoxStatus
from appliance.state.settings import Action, Settings
from appliance.state.store import state_folder

HOLD_S: Final = 2.0
"""How long a button is held for what it does when held."""

SAMPLE_S: Final = 0.02
"""How often the potentiometers are read."""

BLINK_S: Final = 0.02
"""How often the LEDs are looked at: a beat is shown this late at most."""

BEAT_S: Final = 0.09
"""How long the LED of the beat is lit."""

TROUBLE_S: Final = 10.0
"""How long an xrun or a restart lights the LED of the troubles."""

GLITCH_S: Final = 0.002
"""Shorter closings of a button's contact are no finger, but a neighbouring cable."""

POWER_OFF_COMMAND: Final = ("systemctl", "poweroff")

DEVICES: Final = Path("/dev")

_FACTORY_VARIABLE: Final = "GPIOZERO_PIN_FACTORY"
"""gpiozero's own: set, it is asked for what it names, and no device is looked for."""

Trace = Callable[[str, str], None]
"""Told which part did what."""


class GpioFrontend:
    """Everything that ``gpio`` says is wired."""

    name = "pins"

    def __init__(
        self, gpio: Gpio, trace: Trace = lambda _where, _what: None, *, harmless: bool = False
    ) -> None:
        """``harmless``: the button that switches the machine off is felt, and does nothing."""
        self._gpio = gpio
        self._trace = trace
        self._harmless = harmless
        self._loop: asyncio.AbstractEventLoop
        self._settings: Settings
        self._box: BoxStatus
        self._lamps: list[tuple[str, Any]] = []
        self._pots: list[tuple[str, Pot, Any]] = []
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Listen to the pins until cancelled."""
        self._loop, self._settings, self._box = asyncio.get_running_loop(), settings, box
        self._lamps, self._pots = [], []
        with contextlib.ExitStack() as stack:
            # gpiozero takes a second to import on a small Pi.
            await asyncio.to_thread(self._open, stack)
            if self._pots:
                self._sample(stack)
            await self._blink()

    def _open(self, stack: contextlib.ExitStack) -> None:
        """Claim every pin (not in the event loop's thread)."""
        factory = _factory(stack)
        for where, part, problem in wired(self._gpio):
            if problem:
                self._tell(where, problem)
                continue
            try:
                if isinstance(part, Pot):
                    _check_spi(part)
                self._claim(where, part, factory, stack)
            except BachboxError as error:
                self._tell(where, str(error))
            except Exception as error:
                # gpiozero, lgpio and spidev each have exceptions of their own.
                reason = str(error) or type(error).__name__
                self._tell(where, f"{reason.rstrip('.')}; is another program using it?")

    def _tell(self, where: str, problem: str) -> None:
        self._over(self._box.say, f"bachbox: {where}: {problem}")

    def _claim(self, where: str, part: Part, factory: Any, stack: contextlib.ExitStack) -> None:
        import gpiozero

        match part:
            case Encoder():
                knob = gpiozero.RotaryEncoder(part.a, part.b, max_steps=0, pin_factory=factory)
                stack.callback(knob.close)
                knob.when_rotated_clockwise = lambda: self._over(self._click, where, part, 1)
                knob.when_rotated_counter_clockwise = lambda: self._over(
                    self._click, where, part, -1
                )
                if part.push is not None:
                    self._button(where, part.push, part.press, part.hold, factory, stack)
            case Button():
                self._button(where, part.pin, part.press, part.hold, factory, stack)
            case Pot():
                with warnings.catch_warnings():
                    # Bit-banged SPI in Python is slow; on a Pi we have checked for better.
                    warnings.simplefilter("ignore")
                    pot = gpiozero.MCP3008(
                        part.channel, port=0, device=part.select, pin_factory=factory
                    )
                stack.callback(pot.close)
                self._pots.append((where, part, pot))
            case Led():
                lamp = gpiozero.LED(part.pin, pin_factory=factory)
                stack.callback(lamp.close)
                self._lamps.append((part.shows, lamp))

    def _button(
        self,
        where: str,
        pin: int,
        press: ButtonAction | None,
        hold: ButtonAction | None,
        factory: Any,
        stack: contextlib.ExitStack,
    ) -> None:
        import gpiozero

        contact = gpiozero.Button(pin, bounce_time=GLITCH_S, pin_factory=factory)
        stack.callback(contact.close)
        finger = DebouncedButton(
            lambda: bool(contact.is_pressed),
            self._loop.call_later,
            lambda: self._do(where, press),
            None if hold is None else lambda: self._do(where, hold),
            HOLD_S,
        )
        contact.when_pressed = lambda: self._over(finger.edge, True)
        contact.when_released = lambda: self._over(finger.edge, False)

    def _over(self, function: Callable[..., object], *arguments: object) -> None:
        """Call in the event loop's thread."""
        with contextlib.suppress(RuntimeError):  # It is closed: the box has ended.
            self._loop.call_soon_threadsafe(function, *arguments)

    def _click(self, where: str, part: Encoder, clicks: int) -> None:
        value = clicked(self._settings, part.turns, clicks, part.step)
        self._change(where, part.turns, value)

    def _turn(self, where: str, part: Pot, takeover: SoftTakeover, place: float) -> None:
        value = takeover.turn(self._settings, part.turns, place)
        if value is not None:
            self._change(where, part.turns, value)
        else:
            self._trace(where, f"at {place:.0%}, not yet where {part.turns} is")

    def _change(self, where: str, name: str, value: object) -> None:
        try:
            self._settings.change(name, value)
        except BachboxError as error:
            self._tell(where, str(error))
            return
        self._trace(where, f"{name} {value}")

    def _do(self, where: str, deed: ButtonAction | None) -> None:
        if deed is None:
            return
        self._trace(where, deed)
        if deed == "playing":
            self._settings.change("playing", not self._settings.values.playing)
        elif deed != POWER_OFF:
            self._settings.act(Action(deed))
        elif not self._harmless:
            job = self._loop.create_task(self._power_off(where))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    async def _power_off(self, where: str) -> None:
        self._box.say("bachbox: switched off by its button")
        try:
            process = await asyncio.create_subprocess_exec(
                *POWER_OFF_COMMAND,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            code = await process.wait()
        except OSError as error:
            self._tell(where, f"{POWER_OFF_COMMAND[0]} cannot be run ({error.strerror})")
            return
        if code:
            self._tell(
                where, "the machine refuses to switch off; let this user do so (polkit), or be root"
            )

    def _sample(self, stack: contextlib.ExitStack) -> None:
        """Read the potentiometers in a thread, until the stack is closed."""
        ended = threading.Event()
        pots = [
            (where, part, pot, NoiseFilter(), SoftTakeover()) for where, part, pot in self._pots
        ]

        def sample() -> None:
            while not ended.wait(SAMPLE_S):
                for where, part, pot, steady, takeover in pots:
                    try:
                        place = steady.feel(pot.value)
                    except Exception as error:
                        if not ended.is_set():
                            self._tell(
                                where, f"cannot be read any more ({error}); the pots are off"
                            )
                        return
                    if place is not None:
                        self._over(self._turn, where, part, takeover, place)

        thread = threading.Thread(target=sample, name="pots", daemon=True)
        thread.start()
        # Before the converter is closed under it.
        stack.callback(thread.join, 10 * SAMPLE_S)
        stack.callback(ended.set)

    async def _blink(self) -> None:
        """Let the LEDs show how it is, until cancelled."""
        if not self._lamps:
            await asyncio.Event().wait()
        lit_until = trouble_until = 0.0
        beat: tuple[int, int, int] | None = None
        troubles: int | None = None
        shown: dict[str, bool] = {}
        while True:
            now, where = time.monotonic(), self._box.now_playing()
            playing = where.condition == CONDITIONS[State.PLAYING]
            at = (where.piece, where.bar, where.beat)
            if at != beat:
                beat, lit_until = at, now + BEAT_S
            counted = self._box.troubles()
            if troubles is not None and counted != troubles:
                trouble_until = now + TROUBLE_S
            troubles = counted
            lit = {
                "playing": playing,
                "beat": playing and now < lit_until,
                "trouble": now < trouble_until or where.condition == CONDITIONS[State.NO_CARD],
            }
            for shows, lamp in self._lamps:
                if lit[shows] != shown.get(shows):
                    lamp.value = lit[shows]
            shown = lit
            await asyncio.sleep(BLINK_S)


def _factory(stack: contextlib.ExitStack) -> Any:
    """Gpiozero's way to the pins.

    Raises:
        BachboxError: this machine has none, or not for us.
    """
    given = os.environ.get(_FACTORY_VARIABLE)
    chips = sorted(DEVICES.glob("gpiochip*"))
    if not given and not chips:
        raise BachboxError(
            "this machine has no GPIO pins, so no knob and no LED works; take [gpio] out of the "
            "config if none should"
        )
    if not given and not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        raise BachboxError(
            f"{chips[0]} is not for you, so no knob works: sudo usermod -aG gpio $USER, "
            "then log in again"
        )
    try:
        if given:
            from gpiozero import Device

            Device.ensure_pin_factory()
            return Device.pin_factory
        with _lgpio_elsewhere():
            from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise BachboxError(
            f"the Python package {error.name} is missing, so no knob works: install Bachbox with "
            "`pip install 'bachbox[gpio]'`, or `sudo apt install python3-lgpio`"
        ) from error
    except OSError as error:
        raise BachboxError(
            f"lgpio cannot work in {_scratch()} ({error.strerror}), so no knob works"
        ) from error
    try:
        factory = LGPIOFactory()
    except Exception as error:
        raise BachboxError(
            f"the pins cannot be opened ({error}); is this a Raspberry Pi?"
        ) from error
    stack.callback(factory.close)
    return factory


@contextlib.contextmanager
def _lgpio_elsewhere() -> Iterator[None]:
    """For the import of lgpio.

    It leaves a file in its working directory at once; told of another one, it takes the whole
    process there, and relative paths (of a WAV file, say) would mean something else.
    """
    here = Path.cwd()
    folder = _scratch()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LG_WD", str(folder.absolute()))
    try:
        yield
    finally:
        os.chdir(here)


def _scratch() -> Path:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        if folder := os.environ.get(name, "").partition(":")[0]:
            return Path(folder)
    return state_folder()


def _check_spi(part: Pot) -> None:
    if os.environ.get(_FACTORY_VARIABLE):
        return
    device = DEVICES / f"spidev0.{part.select}"
    if not device.exists():
        raise BachboxError(
            "SPI is off: switch it on with `sudo raspi-config nonint do_spi 0`, then restart"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise BachboxError(
            f"{device} is not for you: sudo usermod -aG spi $USER, then log in again"
        )
