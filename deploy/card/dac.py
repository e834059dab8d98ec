"""``dac = "hifiberry-dac"``: the sound cards on the header that this card can drive.

The Raspberry Pi's firmware reads config.txt before Linux starts, and that includes the file
:data:`INCLUDED` beside it. Only this file is ever written, so a pulled plug can cost the sound
card, but never the start. After a change the box starts once more.

Debian 13's firmware package 1.20240424 has one overlay for such cards (hifiberry-dac), and its
kernel 6.12 has drivers for few of their chips; tests/data has both lists. It has none for the
PCM5122, but that chip can do without: after reset it takes its clock from the I2S lines (data
sheet, "3-wire PCM"). Only its own volume control is missing then. No board has been tried.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

INCLUDED = "bachbox-dac.txt"
OVERLAY = "bachbox-dac"
CARD_ID = "BachboxDAC"
"""What ALSA calls the card; the name in bachbox-dac.dts."""

I2S_PINS = (18, 19, 20, 21)
FREE_PINS = "5, 6, 13, 16 and 22 to 27"

PLAIN = {
    "hifiberry-dac": "HiFiBerry DAC, DAC+ Light, DAC+ Zero, MiniAmp; Pimoroni pHAT DAC",
    "i2s-dac": "any PCM5102A or UDA1334A board",
    "rpi-dac": "RPi-DAC",
    "max98357a": "Adafruit I2S 3W amplifiers",
    "googlevoicehat-soundcard": "Google AIY Voice HAT",
    "hifiberry-dacplus": "HiFiBerry DAC+, DAC+ Pro, DAC2",
    "hifiberry-dacplus-std": "HiFiBerry DAC+ Standard, DAC2 HD",
    "hifiberry-dacplus-pro": "HiFiBerry DAC+ Pro, DAC2 Pro",
    "iqaudio-dac": "IQaudIO DAC",
    "iqaudio-dacplus": "IQaudIO DAC+, Raspberry Pi DAC+",
    "justboom-dac": "JustBoom DAC",
    "allo-boss-dac-pcm512x-audio": "Allo Boss DAC",
}
"""Boards that play what comes on the I2S lines, by the overlay that their makers name."""

UNDRIVEN = {
    "hifiberry-amp": "TAS5713",
    "hifiberry-amp100": "PCM5122 with an amplifier that a driver has to switch on",
    "hifiberry-amp3": "MA12070P",
    "hifiberry-digi": "WM8804, for which Debian has no sound card driver",
    "hifiberry-digi-pro": "WM8804, for which Debian has no sound card driver",
    "justboom-digi": "WM8804, for which Debian has no sound card driver",
    "allo-digione": "WM8804, for which Debian has no sound card driver",
    "iqaudio-digi-wm8804-audio": "WM8804, for which Debian has no sound card driver",
    "allo-piano-dac-plus-pcm512x-audio": "PCM5142",
    "hifiberry-dacplusadc": "PCM1863",
    "hifiberry-dacplusadcpro": "PCM1863",
    "iqaudio-codec": "DA7212",
    "audioinjector-wm8731-audio": "WM8731",
    "wm8960-soundcard": "WM8960, which needs a clock that Debian's device tree does not have",
    "merus-amp": "MA12040P",
    "pisound": "pisound",
}
"""Boards whose chip needs a driver that this card lacks: the chip."""


def refusal(name: str) -> str:
    """Return why the sound card ``name`` cannot be used, in a sentence; "" if it can."""
    if name in PLAIN:
        return ""
    if name in UNDRIVEN:
        return (
            f"dac: {name} does not play on this card, whose Debian has no driver for it "
            f"({UNDRIVEN[name]}); use Raspberry Pi OS with the Bachbox package instead"
        )
    near = difflib.get_close_matches(name.lower(), [*PLAIN, *UNDRIVEN], 1, 0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"dac: there is no {name}; {hint}the names are {', '.join(PLAIN)}"


def included(name: str) -> str:
    """Return the lines for config.txt that switch on the sound card ``name``; "" for none."""
    if not name:
        return ""
    return (
        f'# Bachbox writes this file, because of dac = "{name}" in bachbox.txt.\n'
        f"dtoverlay={OVERLAY}\n"
        "dtparam=audio=off\n"
    )


def clashes(config: dict[str, Any]) -> list[str]:
    """Return a sentence for each pin of the sound card that ``config``, as TOML, uses in [gpio]."""
    pins = sorted({pin for pin in _pins(config.get("gpio")) if pin in I2S_PINS})
    return [
        f"[gpio]: pin {pin} belongs to the sound card (dac); choose another: {FREE_PINS} are free"
        for pin in pins
    ]


def _pins(part: Any) -> Iterator[int]:
    """Yield the numbers of all pins in ``part`` of a config."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("a", "b", "push", "pin") and isinstance(value, int):
                yield value
            else:
                yield from _pins(value)
    elif isinstance(part, list):
        for item in part:
            yield from _pins(item)
