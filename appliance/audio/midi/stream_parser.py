"""From a stream of bytes to MIDI messages (MIDI 1.0 Detailed Specification, "Data Format")."""

from __future__ import annotations

from typing import Final

_REAL_TIME: Final = 0xF8
_SYSTEM: Final = 0xF0
_DATA_BYTES: Final = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
"""How many bytes follow a channel message's status."""


class StreamParser:
    """Gives out whole channel messages and real-time messages; the rest is passed over.

    Running status is understood; bytes that belong to no message (a cable that was plugged in
    amid one) are dropped.
    """

    def __init__(self) -> None:
        self._status = 0
        self._data = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that ``data`` completes."""
        found: list[bytes] = []
        for byte in data:
            if byte >= _REAL_TIME:
                found.append(bytes((byte,)))
            elif byte >= 0x80:
                self._status, self._data = (byte if byte < _SYSTEM else 0), b""
            elif self._status:
                self._data += bytes((byte,))
                if len(self._data) == _DATA_BYTES[self._status & 0xF0]:
                    found.append(bytes((self._status,)) + self._data)
                    self._data = b""
        return found
