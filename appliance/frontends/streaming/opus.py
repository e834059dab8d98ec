"""The sound as Ogg Opus, encoded once for all listeners by ``opusenc`` (package opus-tools).

An Ogg stream consists of pages. The first pages hold the headers, which every listener needs
first; after them a listener can join at any page (RFC 7845, section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, NamedTuple

from appliance.audio.broadcast import Broadcast, Publish
from appliance.errors import BachboxError
from appliance.frontends.streaming import encoder
from appliance.ipc.audio_tap import Sound
from appliance.state.box_status import BoxStatus

BITRATE_KBPS: Final = 128

PAGE_MS: Final = 100
"""How much sound a page holds at most; a listener hears the music later by as much."""

COMPLEXITY: Final = "5"
"""Out of 10. Takes a third of the processor time of 10, without an audible difference."""

KEPT_PAGES: Final = 50
"""How far a slow listener may fall behind before it misses some pages."""

_PAGE_HEADER: Final = struct.Struct("<4sBBqIIIB")
"""RFC 3533, section 6."""

_CAPTURE_PATTERN: Final = b"OggS"


class _Page(NamedTuple):
    """A page with sound."""

    headers: bytes
    """The header pages of its stream."""
    content: bytes


class OpusBroadcast:
    """One encoded stream for any number of listeners; the encoder runs only while there is one."""

    media_type: Final = "audio/ogg"

    def __init__(self) -> None:
        self._broadcast: Broadcast[_Page] | None = None

    async def listen(self, box: BoxStatus) -> AsyncGenerator[bytes, None]:
        """Yield headers and pages from now on; use ``contextlib.aclosing``.

        Each piece is a stream of its own with its title, chained to the one before (RFC 3533,
        section 4). Ends when the sample rate of the sound card changes; listen again then.

        Raises:
            BachboxError: opusenc is missing or fails.
        """
        if self._broadcast is None:
            self._broadcast = Broadcast(lambda publish: _encode(box, publish), KEPT_PAGES)
        headers = b""
        async with contextlib.aclosing(self._broadcast.listen()) as pages:
            async for page in pages:
                if page.headers != headers:
                    headers = page.headers
                    yield headers
                yield page.content


async def _encode(box: BoxStatus, publish: Publish[_Page]) -> None:
    """Publish the sound, a stream for each piece, until the sample rate changes."""
    async with contextlib.aclosing(box.sound.listen()) as sounds:
        first: Sound | None = await anext(sounds)
        assert first is not None
        sample_rate = first.sample_rate
        while first is not None and first.sample_rate == sample_rate:
            first = await _encode_piece(box, first, sounds, publish)


async def _encode_piece(
    box: BoxStatus, first: Sound, sounds: AsyncIterator[Sound], publish: Publish[_Page]
) -> Sound | None:
    """Publish ``first`` and ``sounds`` until the next piece; return its first sound.

    Raises:
        BachboxError: opusenc is missing or fails.
    """
    title = box.now_playing().title
    command = (
        *("opusenc", "--quiet", "--raw", "--raw-rate", str(first.sample_rate), "--raw-chan", "2"),
        *("--bitrate", str(BITRATE_KBPS), "--comp", COMPLEXITY, "--max-delay", str(PAGE_MS)),
        *("--artist", "Bachbox", "--title", title or "Bachbox", "-", "-"),
    )

    def belongs_to_the_next(sound: Sound) -> bool:
        return sound.sample_rate != first.sample_rate or box.now_playing().title != title

    async with encoder.running(
        command, "opus-tools", first, sounds, belongs_to_the_next
    ) as opusenc:
        headers = b""
        async for page in read_pages(opusenc.encoded):
            granule_position = _PAGE_HEADER.unpack_from(page)[3]
            if granule_position == 0:
                # Only header pages end before any sound.
                headers += page
            else:
                publish(_Page(headers, page))
        if not opusenc.feeding.done():
            raise BachboxError("the Opus encoder has stopped; it starts again when needed")
        return await opusenc.feeding


async def read_pages(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the pages of an Ogg stream (RFC 3533), until it ends or is not Ogg any more."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            header = await stream.readexactly(_PAGE_HEADER.size)
            pattern, *_, segments = _PAGE_HEADER.unpack(header)
            if pattern != _CAPTURE_PATTERN:
                return
            lengths = await stream.readexactly(segments)
            yield header + lengths + await stream.readexactly(sum(lengths))
