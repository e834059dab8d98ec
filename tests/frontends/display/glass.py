"""I2C buses with the three displays on them: they decode what luma sends, as the glass shows it."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from PIL import Image

ON, OFF = 0xAF, 0xAE


class Bus:
    """Stands for smbus2.SMBus; a display answers at ``address``."""

    def __init__(self, address: int) -> None:
        self.address = address
        self.is_broken = False
        self.sent_bytes = 0

    def check(self, address: int, count: int) -> None:
        if self.is_broken or address != self.address:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        self.sent_bytes += count

    def close(self) -> None:
        pass


class OledBus(Bus):
    """An SSD1306 in horizontal addressing mode, or an SH1106, which is addressed page by page."""

    def __init__(self, width: int = 128, height: int = 64, address: int = 0x3C) -> None:
        super().__init__(address)
        self.width, self.height = width, height
        self.memory = bytearray(132 * 8)
        self.is_lit = False
        self.contrast = -1
        self._page = self._column = 0
        self._is_paged = False

    def write_i2c_block_data(self, address: int, _mode: int, commands: Iterable[int]) -> None:
        """Take commands (SSD1306 and SH1106 data sheets, tables of commands)."""
        left = list(commands)
        self.check(address, len(left))
        while left:
            command = left.pop(0)
            match command:
                case 0xAF | 0xAE:
                    self.is_lit = command == ON
                case 0x81:
                    self.contrast = left.pop(0)
                case 0x21 | 0x22:
                    self._page = self._column = 0
                    del left[:2]
                case 0xD5 | 0xA8 | 0xD3 | 0x8D | 0xDA | 0xD9 | 0xDB:
                    del left[:1]
                case _ if 0xB0 <= command <= 0xB7:
                    self._page, self._is_paged = command - 0xB0, True
                case _ if command <= 0x0F:
                    self._column = self._column & 0xF0 | command
                case _ if 0x10 <= command <= 0x1F:
                    self._column = self._column & 0x0F | (command & 0x0F) << 4

    def i2c_rdwr(self, message: Iterable[int]) -> None:
        """Take pixels, eight of a column in each byte."""
        _mode, *data = message
        self.check(self.address, len(data))
        for byte in data:
            self.memory[self._page * 132 + self._column] = byte
            self._column += 1
            if self._column == self.width and not self._is_paged:
                self._column, self._page = 0, (self._page + 1) % (self.height // 8)

    def picture(self) -> Image.Image:
        """What is to be seen; an SH1106 shows its columns from 2 on."""
        picture = Image.new("1", (self.width, self.height))
        first = 2 if self._is_paged else 0
        for y in range(self.height if self.is_lit else 0):
            for x in range(self.width):
                lit = self.memory[y // 8 * 132 + x + first] >> y % 8 & 1
                picture.putpixel((x, y), 255 * lit)
        return picture


class TextBus(Bus):
    """An HD44780 behind a PCF8574: half a byte is taken when its line E falls."""

    LINES = (0x00, 0x40, 0x14, 0x54)

    def __init__(self, columns: int = 16, rows: int = 2, address: int = 0x27) -> None:
        super().__init__(address)
        self.columns, self.rows = columns, rows
        self.memory = bytearray(b" " * 0x80)
        self.is_on = self.is_lit = False
        self._port = 0
        self._high: int | None = None
        self._at = 0
        self._four_bits = False

    def write_byte(self, address: int, port: int) -> None:
        self.check(address, 1)
        if self._port & 4 and not port & 4:
            self._take(port >> 4, is_data=bool(port & 1))
        self._port, self.is_lit = port, bool(port & 8)

    def _take(self, half: int, *, is_data: bool) -> None:
        if not self._four_bits:
            # Before the command for 4-bit mode, each half counts as a whole command.
            self._four_bits = half == 2
        elif self._high is None:
            self._high = half
        else:
            byte, self._high = self._high << 4 | half, None
            self._write(byte) if is_data else self._command(byte)

    def _command(self, byte: int) -> None:
        if byte & 0x80:
            self._at = byte & 0x7F
        elif byte & 0xF8 == 0x08:
            self.is_on = bool(byte & 4)
        elif byte == 1:
            self.memory[:] = b" " * 0x80
            self._at = 0

    def _write(self, byte: int) -> None:
        self.memory[self._at] = byte
        self._at = (self._at + 1) % 0x80

    def lines(self) -> list[str]:
        """What is to be read; nothing while the display is off."""
        if not self.is_on:
            return [""] * self.rows
        return [
            self.memory[start : start + self.columns].decode("latin-1")
            for start in self.LINES[: self.rows]
        ]
