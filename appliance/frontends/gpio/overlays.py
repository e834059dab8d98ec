"""Pins that the system itself uses: those of an I2S sound card, and of I2C.

The device tree says which buses are switched on (``/proc/device-tree``); ``config.txt`` names the
overlay that did it. Pins by bus: https://pinout.xyz.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.common.procfs import text_of
from appliance.config.gpio_schema import Part, pins_of

DEVICE_TREE: Final = Path("/proc/device-tree")
CONFIG_FILES: Final = (Path("/boot/firmware/config.txt"), Path("/boot/config.txt"))

FREE_PINS: Final = "5, 6, 13, 16 and 22 to 27"
"""Pins that no common sound card, and no bus, uses."""

I2S_PINS: Final = (18, 19, 20, 21)
I2C_PINS: Final = (2, 3)

_SOUND_OVERLAY: Final = re.compile(
    r"^\s*dtoverlay\s*=\s*((?:hifiberry|iqaudio|allo-|justboom|audioinjector|i2s-dac|rpi-dac"
    r"|dionaudio|pisound|googlevoicehat|max98357a|merus|wm8960|adau|applepi-dac|pcm5102)[\w-]*)",
    re.MULTILINE,
)


def pins_in_use(
    device_tree: Path = DEVICE_TREE, config_files: tuple[Path, ...] = CONFIG_FILES
) -> dict[int, str]:
    """Return who uses which pin, in words by BCM number; nothing where there is no Raspberry Pi."""
    config = next(filter(None, map(text_of, config_files)), "")
    overlay = _SOUND_OVERLAY.search(config)
    used: dict[int, str] = {}
    if overlay or _is_on(device_tree, "i2s"):
        name = f" (dtoverlay={overlay[1]})" if overlay else ""
        used |= dict.fromkeys(I2S_PINS, f"the sound card on I2S{name}")
    if _is_on(device_tree, "i2c_arm", "i2c1"):
        used |= dict.fromkeys(I2C_PINS, "I2C (dtparam=i2c_arm=on, or an overlay)")
    return used


def clash(part: Part, used: dict[int, str]) -> str:
    """Return a sentence about a pin of ``part`` that is ``used``; "" if none is."""
    for pin in pins_of(part):
        if pin in used:
            return f"pin {pin} belongs to {used[pin]}; choose another: {FREE_PINS} are free"
    return ""


def _is_on(device_tree: Path, *symbols: str) -> bool:
    return "okay" in _states(device_tree, symbols)


def _states(device_tree: Path, symbols: tuple[str, ...]) -> Iterator[str]:
    for symbol in symbols:
        # A path in the tree, such as "/soc/i2s@7e203000".
        if path := text_of(device_tree / "__symbols__" / symbol):
            yield text_of(device_tree / path.lstrip("/") / "status")
