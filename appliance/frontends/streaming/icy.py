"""Titles inside an MP3 stream, as internet radios send them (ICY, also called SHOUTcast metadata).

After every :data:`INTERVAL_BYTES` of sound there is a byte with the length of the metadata in units
of 16 bytes, and then the metadata, such as ``StreamTitle='Sarabande in d minor';``.
Source: https://cast.readme.io/docs/icy.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

INTERVAL_BYTES: Final = 16_000

_UNIT_BYTES: Final = 16

_MAX_BYTES: Final = 255 * _UNIT_BYTES


def metadata(title: str) -> bytes:
    """Return the length byte and the metadata for ``title``; an empty title changes nothing."""
    if not title:
        return b"\0"
    # An apostrophe would end the title.
    text = f"StreamTitle='{title.replace(chr(39), chr(0x2019))}';".encode()[:_MAX_BYTES]
    units = -(-len(text) // _UNIT_BYTES)
    return bytes([units]) + text.ljust(units * _UNIT_BYTES, b"\0")


async def with_titles(
    parts: AsyncIterator[bytes], title: Callable[[], str]
) -> AsyncGenerator[bytes, None]:
    """Yield ``parts`` with metadata in between; ``title`` gives what plays now."""
    left, sent = INTERVAL_BYTES, ""
    async for part in parts:
        whole = b""
        while len(part) >= left:
            now = title()
            whole += part[:left] + metadata(now if now != sent else "")
            part, left, sent = part[left:], INTERVAL_BYTES, now
        left -= len(part)
        yield whole + part
