"""The format of all sound in Bachbox: interleaved stereo, signed 16-bit little-endian (s16le)."""

from typing import Final

BYTES_PER_FRAME: Final = 4
