"""Which channels of a MIDI file play drums: the tenth, and those that the file says.

Synthesizers of three families have messages for it. Sources: General MIDI 2 (RP-024), and the
manuals of Roland's GS (address 40 1x 15) and Yamaha's XG (addresses 00 00 7E and 08 nn 07).
"""

from __future__ import annotations

from typing import Final

BANK_SELECT: Final = 0
"""The controller number that chooses a bank."""

_DRUM_CHANNEL: Final = 9
"""Channel 10 of General MIDI, counted from 0."""
_CHANNELS: Final = 16
_DRUM_BANKS: Final = {"XG": frozenset((126, 127)), "GM2": frozenset((120,))}
"""By family; in GS, bank 127 has melodic sounds."""


class DrumChannels:
    """Takes those messages of a file that may say which channels play drums."""

    def __init__(self) -> None:
        self._banks: set[tuple[int, int]] = set()
        """The channels and the banks that they choose."""
        self._families: set[str] = set()
        self._stated = {_DRUM_CHANNEL: True}
        """By channel, whether it plays drums."""

    def take_bank(self, channel: int, bank: int) -> None:
        """Take the bank that a channel chooses."""
        self._banks.add((channel, bank))

    def take_exclusive(self, data: bytes) -> None:
        """Take a system exclusive message, from the byte after its status on.

        The second byte is the number of the device that it is for.
        """
        match [data[0], *data[2:]] if data else []:
            case [0x7E, 0x09, 0x03, *_]:
                self._families.add("GM2")
            case [0x43, 0x4C, 0x00, 0x00, 0x7E, *_]:
                self._families.add("XG")
            case [0x43, 0x4C, 0x08, channel, 0x07, mode, *_] if channel < _CHANNELS:
                self._stated[channel] = mode > 0
            case [0x41, 0x42, 0x12, 0x40, block, 0x15, mode, *_] if block >> 4 == 1:
                # Part 10 comes first in GS.
                part = block & 0x0F
                channel = _DRUM_CHANNEL if part == 0 else part - (part <= _DRUM_CHANNEL)
                self._stated[channel] = mode > 0

    def found(self) -> frozenset[int]:
        """The channels that play drums, from 0."""
        banks = {bank for family in self._families for bank in _DRUM_BANKS[family]}
        by_bank = {channel for channel, bank in self._banks if bank in banks}
        return frozenset(by_bank | {channel for channel, drums in self._stated.items() if drums})
