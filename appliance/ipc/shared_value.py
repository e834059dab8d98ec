"""A value shared between processes without a lock, so that a killed process blocks no other.

It is double-buffered, like a seqlock with two copies. The one process that writes always
overwrites the older copy, and marks it with a serial number and a checksum. A reader takes the
newest copy whose checksum is right. A writer killed in the middle of a write leaves the value
before, never half of one, and no order of memory accesses has to be assumed between cores.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_TRAILER = struct.Struct("<II")
"""Serial number of the write, then the CRC-32 of everything before it."""

_ALIGNMENT = 64
"""Bytes of a cache line: two writers never share one."""

_READ_ATTEMPTS = 4
"""Both copies are torn only if the writer wrote twice during one read."""

_SERIALS = 1 << 32


class SharedValue(Generic[T]):
    """One fixed-size value of type ``T`` in a shared mapping.

    Args:
        memory: the mapping.
        offset: where the value begins, in bytes.
        layout: of the packed fields, as for :class:`struct.Struct`, little-endian.
        default: the value before the first write.
        pack: returns the fields of a value.
        unpack: returns the value of the fields.
    """

    def __init__(
        self,
        memory: mmap.mmap,
        offset: int,
        layout: str,
        default: T,
        pack: Callable[[T], tuple[Any, ...]],
        unpack: Callable[[tuple[Any, ...]], T],
    ) -> None:
        self._memory = memory
        self._struct = struct.Struct(layout)
        self._copy_bytes = self._struct.size + _TRAILER.size
        self._offset = offset
        self._pack = pack
        self._unpack = unpack
        self._value = default
        self._raw = b""
        self._serial = 0

    @property
    def end_offset(self) -> int:
        """The first offset after this value where another one may begin, in bytes."""
        end = self._offset + 2 * self._copy_bytes
        return -(-end // _ALIGNMENT) * _ALIGNMENT

    def read(self) -> T:
        """Return the newest intact value; if there is none, the last one read or the default."""
        size = self._copy_bytes
        for _ in range(_READ_ATTEMPTS):
            both = self._memory[self._offset : self._offset + 2 * size]
            if both == self._raw:
                return self._value
            found = [(copy, self._serial_of(copy)) for copy in (both[:size], both[size:])]
            whole = [(copy, serial) for copy, serial in found if serial is not None]
            if not whole:
                continue
            copy, serial = whole[0]
            if len(whole) == 2 and 0 < (whole[1][1] - serial) % _SERIALS < _SERIALS // 2:
                copy, serial = whole[1]
            self._value = self._unpack(self._struct.unpack_from(copy))
            self._raw, self._serial = both, serial
            return self._value
        # Never written, or torn. Remember the bytes: they need not be examined again.
        self._raw = both
        return self._value

    def write(self, value: T) -> None:
        """Replace the value. Only one process may write it."""
        if not self._raw:
            self.read()
        self._serial = serial = (self._serial + 1) % _SERIALS
        body = self._struct.pack(*self._pack(value)) + serial.to_bytes(4, "little")
        copy = body + zlib.crc32(body).to_bytes(4, "little")
        start = self._offset + (serial % 2) * self._copy_bytes
        self._memory[start : start + self._copy_bytes] = copy
        # What the next read would find, so that it has nothing to do.
        self._value = value
        self._raw = self._memory[self._offset : self._offset + 2 * self._copy_bytes]

    def _serial_of(self, copy: bytes) -> int | None:
        serial, crc = _TRAILER.unpack_from(copy, self._struct.size)
        return int(serial) if zlib.crc32(copy[:-4]) == crc else None
