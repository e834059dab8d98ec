"""Sets of keys on MIDI channels in a field of fixed width, a bit each."""

from __future__ import annotations

from typing import Any, Final

_CHANNELS: Final = 16
_KEYS: Final = 128
_BYTES: Final = _CHANNELS * _KEYS // 8

KEYS_LAYOUT: Final = f"<{_BYTES}s"
"""The field, as for :class:`struct.Struct`."""


Keys = frozenset[tuple[int, int]]
"""MIDI channels, from 0 to 15, and MIDI note numbers."""

NO_KEYS: Final[Keys] = frozenset()


def packed_keys(keys: Keys) -> tuple[bytes]:
    """Return the field for ``keys``."""
    bits = sum(1 << (_KEYS * channel + key) for channel, key in keys)
    return (bits.to_bytes(_BYTES, "little"),)


def unpacked_keys(fields: tuple[Any, ...]) -> Keys:
    """Return the keys in a field."""
    bits = int.from_bytes(fields[0], "little")
    places = (place for place in range(bits.bit_length()) if bits >> place & 1)
    return frozenset(divmod(place, _KEYS) for place in places)
