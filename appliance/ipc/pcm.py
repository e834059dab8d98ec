"""How sound is written here: interleaved stereo of signed 16-bit little-endian samples."""

from typing import Final

BYTES_PER_FRAME: Final = 4
