"""Which presets of a soundfont can sound, by its tables and the beginnings of its samples.

A preset's zones name instruments, whose zones name samples. A preset is silent if none of these
chains ends in a sample that is in the file and holds anything but zeros, for any key and velocity.
Source: SoundFont Technical Specification 2.04, sections 7.2 to 7.10.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final, NamedTuple

TABLES: Final = (b"phdr", b"pbag", b"pgen", b"inst", b"ibag", b"igen", b"shdr")
MAX_TABLE_BYTES: Final = 8 << 20
"""The largest soundfonts have tables of less than a megabyte; larger ones are not examined."""

_HEADER_BAG: Final = struct.Struct("<24xH12x")
_INSTRUMENT_BAG: Final = struct.Struct("<20xH")
_BAG: Final = struct.Struct("<HH")
_GENERATOR: Final = struct.Struct("<HH")
_SAMPLE: Final = struct.Struct("<20xII16xH")
"""First and last frame, and the type of a sample."""

_INSTRUMENT, _SAMPLE_ID, _KEY_RANGE, _VELOCITY_RANGE = 41, 53, 43, 44
_ALL: Final = 127 << 8
"""A range from 0 to 127."""
_IN_ROM: Final = 0x8000
_PACKED: Final = 0x10
"""In .sf3 files: the sample is Ogg Vorbis, and its place is in bytes."""
_FRAME_BYTES: Final = 2
_FIRST_BLOCK_BYTES: Final = 1 << 11
_BLOCK_BYTES: Final = 1 << 16
_MAX_GENERATORS: Final = 500_000
_MAX_SILENT_BYTES: Final = 1 << 28
"""After so many generators, or so much silence, what is left counts as sounding: tables that
point to the same rows again and again must not take minutes. Large soundfonts have a tenth."""


class Box(NamedTuple):
    """The keys and velocities of a zone, both ends included."""

    lowest: int
    highest: int
    softest: int
    loudest: int

    def within(self, other: Box) -> bool:
        """Whether there is a key and a velocity that both have."""
        return (
            max(self.lowest, other.lowest) <= min(self.highest, other.highest)
            and max(self.softest, other.softest) <= min(self.loudest, other.loudest)
        )  # fmt: skip


class SoundingPresets:
    """Examines the presets of one file, reading no more of it than is needed.

    Args:
        file: the soundfont.
        tables: the chunks :data:`TABLES`.
        samples: first byte and length of the chunk ``smpl``.
    """

    def __init__(
        self, file: BinaryIO, tables: Mapping[bytes, bytes], samples: tuple[int, int]
    ) -> None:
        self._file = file
        self._tables = tables
        self._samples = samples
        self._heard: dict[int, bool] = {}
        """By the number of a sample, whether it holds any sound."""
        self._boxes: dict[int, list[Box]] = {}
        """By the number of an instrument, where it sounds."""
        self._generators_left = _MAX_GENERATORS
        self._bytes_left = _MAX_SILENT_BYTES
        self.in_rom = False
        """Whether a sample was met that is in the memory of a sound card, not in the file."""
        self.with_samples = False
        """Whether a sample was met that is in the file."""

    def sounds(self, row: int) -> bool:
        """Whether the preset in a row of ``phdr`` sounds for any key and velocity."""
        for zone in self._zones(_HEADER_BAG, b"phdr", row, b"pbag", b"pgen"):
            box = _box(zone)
            others = self._instrument(zone[_INSTRUMENT]) if _INSTRUMENT in zone else []
            self._generators_left -= len(others)
            if any(box.within(other) for other in others):
                return True
        return self._generators_left <= 0

    def _instrument(self, number: int) -> list[Box]:
        """Where an instrument sounds."""
        if number not in self._boxes:
            zones = self._zones(_INSTRUMENT_BAG, b"inst", number, b"ibag", b"igen")
            heard = (z for z in zones if _SAMPLE_ID in z and self._sample(z[_SAMPLE_ID]))
            self._boxes[number] = list(dict.fromkeys(map(_box, heard)))
        return self._boxes[number]

    def _zones(
        self, header: struct.Struct, names: bytes, row: int, bags: bytes, generators: bytes
    ) -> Iterator[dict[int, int]]:
        """The generators of each zone of a preset or instrument; none of a row at the end."""
        rows, bag_table, table = (self._tables[name] for name in (names, bags, generators))
        if (row + 2) * header.size > len(rows):
            return
        first, after = (header.unpack_from(rows, n * header.size)[0] for n in (row, row + 1))
        for bag in range(first, min(after, len(bag_table) // _BAG.size - 1)):
            begin, end = (_BAG.unpack_from(bag_table, n * _BAG.size)[0] for n in (bag, bag + 1))
            end = min(end, len(table) // _GENERATOR.size)
            self._generators_left -= 1 + max(0, end - begin)
            if self._generators_left <= 0:
                return
            yield dict(
                _GENERATOR.iter_unpack(table[begin * _GENERATOR.size : end * _GENERATOR.size])
            )

    def _sample(self, number: int) -> bool:
        """Whether a sample holds any sound."""
        if number not in self._heard:
            self._heard[number] = self._is_heard(number)
        return self._heard[number]

    def _is_heard(self, number: int) -> bool:
        table = self._tables[b"shdr"]
        if (number + 2) * _SAMPLE.size > len(table):  # The last one marks the end.
            return False
        start, end, kind = _SAMPLE.unpack_from(table, number * _SAMPLE.size)
        if kind & _IN_ROM:
            self.in_rom = True
            return False
        if end <= start:
            return False
        self.with_samples = True
        if kind & _PACKED:
            return True
        chunk_start, chunk_length = self._samples
        return self._has_sound(
            chunk_start + min(chunk_length, start * _FRAME_BYTES),
            chunk_start + min(chunk_length, end * _FRAME_BYTES),
        )

    def _has_sound(self, start: int, end: int) -> bool:
        """Whether there is a byte that is not zero; most samples begin with one."""
        size = _FIRST_BLOCK_BYTES
        while start < end:
            self._file.seek(start)
            block = self._file.read(min(size, end - start))
            self._bytes_left -= len(block)
            if block.count(0) < len(block) or self._bytes_left <= 0:
                return True
            start += size
            size = _BLOCK_BYTES
        return False


def _box(zone: Mapping[int, int]) -> Box:
    """The ranges of a zone; each is two bytes, the lower end first."""
    keys, velocities = zone.get(_KEY_RANGE, _ALL), zone.get(_VELOCITY_RANGE, _ALL)
    return Box(keys & 0xFF, keys >> 8, max(1, velocities & 0xFF), velocities >> 8)
