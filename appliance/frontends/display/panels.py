"""Draws screens on displays, through luma.oled and luma.lcd.

Everything here may block on the I2C bus for as long as the bus likes. luma and Pillow are imported
where they are used, because they take memory that a box without a display does not have to spend.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Protocol

from appliance.common.install_hint import install_hint
from appliance.config.schema import Display
from appliance.errors import BachboxError
from appliance.frontends.display.screens import Layout, Screen

OLED_ADDRESS: Final = 0x3C
TEXT_ADDRESS: Final = 0x27

_LAYOUTS: Final = {
    "128x64": Layout(title_columns=21, instrument_columns=13),
    "128x32": Layout(title_columns=21, instrument_columns=13),
    "20x4": Layout(title_columns=20, instrument_columns=20),
    "16x2": Layout(title_columns=16, instrument_columns=12),
}

MAX_DOTS: Final = 6
"""A bar with more beats shows their number instead of a dot for each."""

_LINE_HEIGHT: Final = 11
"""Of Pillow's own bitmap font, whose characters are 6 pixels wide."""

_LINE_COLUMNS: Final = 21

_KEY_FONT_SIZE: Final = 18


class Panel(Protocol):
    """An opened display."""

    def show(self, screen: Screen) -> None:
        """Show ``screen``; raises whatever the bus raises."""

    def close(self) -> None:
        """Make the display dark, and let go of the bus."""


def size_of(display: Display) -> str:
    """Return the configured size, or the usual one of the driver."""
    return display.size or ("16x2" if display.driver == "hd44780" else "128x64")


def layout_of(display: Display) -> Layout:
    """Return how much room there is on the configured display."""
    return _LAYOUTS[size_of(display)]


def address_of(display: Display) -> int:
    """Return the configured I2C address, or the usual one of the driver."""
    if display.i2c_address is not None:
        return display.i2c_address
    return TEXT_ADDRESS if display.driver == "hd44780" else OLED_ADDRESS


def load_drivers(display: Display) -> None:
    """Import the libraries that the display needs; takes a second on a small machine.

    Raises:
        BachboxError: one of them is missing; the message says how to get it.
    """
    try:
        import smbus2  # noqa: F401

        if display.driver == "hd44780":
            import luma.lcd.device
        else:
            import luma.oled.device  # noqa: F401
    except ImportError as error:
        raise BachboxError(f"{error.name} is missing", remedy=install_hint("display")) from error


def open_panel(display: Display) -> Panel:
    """Open the configured display, and show nothing yet.

    Raises:
        BachboxError: there is no such bus, nobody answers on it, or it may not be used.
        OSError: the bus failed in another way.
    """
    import luma.core.error
    from luma.core.interface.serial import i2c, pcf8574

    width, height = map(int, size_of(display).split("x"))
    place = {"port": display.i2c_port, "address": address_of(display)}
    try:
        if display.driver == "hd44780":
            from luma.lcd.device import hd44780

            return TextPanel(hd44780(pcf8574(**place), width, height, undefined="?"))
        from luma.oled import device as oled

        driver = {"ssd1306": oled.ssd1306, "sh1106": oled.sh1106}[display.driver]
        return OledPanel(driver(i2c(**place), width, height, rotate=display.rotate // 90))
    except luma.core.error.Error as error:
        raise _readable(error, display) from error


def _readable(error: Exception, display: Display) -> BachboxError:
    import luma.core.error

    bus, address = f"/dev/i2c-{display.i2c_port}", address_of(display)
    if isinstance(error, luma.core.error.DevicePermissionError):
        return BachboxError(
            f"{bus} may not be used", remedy="sudo usermod -aG i2c $USER, then log in again"
        )
    if bus in str(error):
        return BachboxError(
            f"there is no {bus}",
            remedy="switch I2C on (sudo raspi-config nonint do_i2c 0), or set [display] i2c_port",
        )
    return BachboxError(
        f"no display answers at address {address:#04x} of {bus}",
        remedy=f"check its wires; `i2cdetect -y {display.i2c_port}` lists what answers",
    )


class OledPanel:
    """A monochrome OLED of 128 x 64 or 128 x 32 pixels.

    Args:
        device: luma's.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._brightness = -1

    def show(self, screen: Screen) -> None:
        """Show ``screen``."""
        if screen.brightness != self._brightness:
            self._set_brightness(screen.brightness)
        if screen.brightness:
            self._device.display(draw(screen, self._device.size))

    def close(self) -> None:
        """Make the display dark, and let go of the bus."""
        self._device.cleanup()

    def _set_brightness(self, brightness: int) -> None:
        self._brightness = brightness
        if not brightness:
            self._device.hide()
            return
        self._device.contrast(round(255 * brightness / 100))
        self._device.show()


def draw(screen: Screen, size: tuple[int, int]) -> Any:
    """Return the picture of ``screen``, a Pillow image of ``size`` pixels with 1 bit each."""
    from PIL import Image, ImageDraw

    small, large = _fonts()
    width, height = size
    image = Image.new("1", size)
    pen = ImageDraw.Draw(image)
    # Letters without grey edges, which a display of black and white would fray.
    pen.fontmode = "1"

    def left(y: int, text: str) -> None:
        _write(pen, small, 0, y, text)

    def right(y: int, text: str) -> None:
        _write(pen, small, width - int(small.getlength(text)) - 1, y, text)

    if screen.key and height >= 64:
        pen.text((0, 11), screen.key, font=large, fill=1)
    left(0, screen.title)
    middle, bottom = height - 2 * _LINE_HEIGHT - 4, height - _LINE_HEIGHT
    if height < 64:
        middle = _LINE_HEIGHT
    left(middle, screen.instrument)
    if screen.tempo_bpm:
        right(middle, f"{screen.tempo_bpm} BPM")
    if screen.silent:
        _inverted(pen, small, 0, bottom, screen.silent)
    elif screen.beats_per_bar > MAX_DOTS:
        left(bottom, _beats(screen))
    else:
        for beat in range(screen.beats_per_bar if screen.beat else 0):
            box = (beat * 12, height - 9, beat * 12 + 8, height - 1)
            pen.ellipse(box, outline=1, fill=int(beat + 1 == screen.beat))
    if screen.trouble:
        _inverted(pen, small, width - int(small.getlength("trouble")) - 2, bottom, "trouble")
    elif screen.beat and len(screen.silent) + len(f"bar {screen.bar}") < _LINE_COLUMNS:
        right(bottom, f"bar {screen.bar}")
    return image


def _inverted(pen: Any, font: Any, x: int, y: int, text: str) -> None:
    pen.rectangle((x, y, x + font.getlength(text) + 1, y + _LINE_HEIGHT - 1), fill=1)
    _write(pen, font, x, y, text, fill=0)


def _write(pen: Any, font: Any, x: int, y: int, text: str, fill: int = 1) -> None:
    """Write a line whose first and last letter are whole.

    Serifs reach into the next letter's room, and Pillow cuts them off at either end of a text.
    """
    pen.text((x + 1 - font.getlength(" "), y), f" {text} ", font=font, fill=fill)


@functools.cache
def _fonts() -> tuple[Any, Any]:
    """Return Pillow's own fonts: the small one has pixels, the large one outlines."""
    from PIL import ImageFont

    return ImageFont.load_default_imagefont(), ImageFont.load_default(_KEY_FONT_SIZE)


class TextPanel:
    """An HD44780 with 2 lines of 16 characters or 4 of 20.

    Args:
        device: luma's.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._columns = device.width // 5
        self._is_lit = True

    def show(self, screen: Screen) -> None:
        """Show ``screen``."""
        self._device.text = "\n".join(text_lines(screen, self._columns))
        if self._is_lit != bool(screen.brightness):
            self._is_lit = bool(screen.brightness)
            self._device.backlight(self._is_lit)
            # The light changes with the next command.
            self._device.show() if self._is_lit else self._device.hide()

    def close(self) -> None:
        """Make the display dark, and let go of the bus."""
        self._device.cleanup()


def text_lines(screen: Screen, columns: int) -> list[str]:
    """Return ``screen`` as 2 lines if there are 16 columns, otherwise as 4, all of them full."""
    if columns <= 16:
        beats = _short_beats(screen, columns - len(screen.instrument) - 1)
        second = screen.silent or _spread(screen.instrument, beats, columns)
        tempo = str(screen.tempo_bpm) if screen.tempo_bpm else ""
        first = _key_and_tempo(screen.key, tempo, columns) if screen.key else screen.title
        lines = [first, second]
    else:
        tempo = f"{screen.tempo_bpm} BPM" if screen.tempo_bpm else ""
        bar = f"bar {screen.bar}" if screen.beat else ""
        left, right = screen.silent or _beats(screen), "trouble" if screen.trouble else bar
        lines = [
            screen.title,
            _key_and_tempo(screen.key, tempo, columns),
            screen.instrument,
            _spread(left, right if len(left) + len(right) < columns else "", columns),
        ]
    return [line[:columns].ljust(columns) for line in lines]


def _beats(screen: Screen) -> str:
    if not screen.beat:
        return ""
    if screen.beats_per_bar > MAX_DOTS:
        return f"{screen.beat}/{screen.beats_per_bar}"
    return "".join("*" if n + 1 == screen.beat else "." for n in range(screen.beats_per_bar))


def _short_beats(screen: Screen, room: int) -> str:
    """Return the beats, or if they need more than ``room``, the number of this one."""
    beats = _beats(screen)
    numbers = f"{screen.beat}/{screen.beats_per_bar}", str(screen.beat)
    return next((text for text in (beats, *numbers) if len(text) <= room), "") if beats else ""


def _key_and_tempo(key: str, tempo: str, columns: int) -> str:
    if len(key) + 1 + len(tempo) > columns:
        key = key.replace("-sharp", "#")
    return _spread(key, tempo, columns)


def _spread(left: str, right: str, columns: int) -> str:
    """Return a line with a text at each end; the left one gives way."""
    room = columns - len(right)
    return f"{left[: room - 1] if right else left:{room}}{right}"
