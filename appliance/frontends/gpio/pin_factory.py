"""Opening the GPIO pins through gpiozero and lgpio."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from appliance.common.install_hint import install_hint
from appliance.config.gpio_schema import Pot
from appliance.errors import BachboxError
from appliance.state.store import state_folder

DEVICES: Final = Path("/dev")

_FACTORY_VARIABLE: Final = "GPIOZERO_PIN_FACTORY"
"""gpiozero's variable. If it is set, gpiozero chooses the factory, and no device is checked."""


def open_pin_factory(stack: contextlib.ExitStack) -> Any:
    """Return gpiozero's pin factory; it is closed with ``stack``.

    Raises:
        BachboxError: this machine has no pins, they may not be used, or a package is missing.
    """
    chosen = os.environ.get(_FACTORY_VARIABLE)
    chips = sorted(DEVICES.glob("gpiochip*"))
    if not chosen and not chips:
        raise BachboxError(
            "this machine has no GPIO pins, so no knob and no LED works; remove [gpio] from the "
            "config if you have none"
        )
    if not chosen and not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        raise BachboxError(
            f"{chips[0]}: permission denied, so no knob works: sudo usermod -aG gpio $USER, "
            "then log in again"
        )
    try:
        if chosen:
            from gpiozero import Device

            Device.ensure_pin_factory()
            return Device.pin_factory
        with _lgpio_working_folder():
            from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        raise BachboxError(
            f"the Python package {error.name} is missing, so no knob works",
            remedy=install_hint("gpio"),
        ) from error
    except OSError as error:
        raise BachboxError(
            f"lgpio cannot use the folder {_working_folder()} ({error.strerror}), so no knob works"
        ) from error
    try:
        factory = LGPIOFactory()
    except Exception as error:
        raise BachboxError(
            f"the pins cannot be opened ({error}); is this a Raspberry Pi?"
        ) from error
    stack.callback(factory.close)
    return factory


def check_spi(part: Pot) -> None:
    """Check that the SPI device of a potentiometer can be used.

    Raises:
        BachboxError: SPI is off, or may not be used.
    """
    if os.environ.get(_FACTORY_VARIABLE):
        return
    device = DEVICES / f"spidev0.{part.select}"
    if not device.exists():
        raise BachboxError(
            "SPI is off: switch it on with `sudo raspi-config nonint do_spi 0`, then restart"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise BachboxError(
            f"{device}: permission denied: sudo usermod -aG spi $USER, then log in again"
        )


@contextlib.contextmanager
def _lgpio_working_folder() -> Iterator[None]:
    """Keep lgpio, while it is imported, out of the current folder.

    It creates a file in its working folder (``LG_WD``) at once, and changes the process's own
    working directory to it, where relative paths (of a WAV file, say) would mean something else.
    """
    here = Path.cwd()
    folder = _working_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("LG_WD", str(folder.absolute()))
    try:
        yield
    finally:
        os.chdir(here)


def _working_folder() -> Path:
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        if folder := os.environ.get(name, "").partition(":")[0]:
            return Path(folder)
    return state_folder()
