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
    process = await _start_opusenc(first.sample_rate, title or "Bachbox")
    assert process.stdin is not None
    assert process.stdout is not None
    feeding = asyncio.create_task(_feed(process.stdin, box, title, first, sounds))
    try:
        headers = b""
        async for page in read_pages(process.stdout):
            granule_position = _PAGE_HEADER.unpack_from(page)[3]
            if granule_position == 0:
                # Only header pages end before any sound.
                headers += page
            else:
                publish(_Page(headers, page))
        if not feeding.done():
            raise BachboxError("the Opus encoder has stopped; it starts again when needed")
        return await feeding
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _start_opusenc(sample_rate: int, title: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *("opusenc", "--quiet", "--raw", "--raw-rate", str(sample_rate), "--raw-chan", "2"),
            *("--bitrate", str(BITRATE_KBPS), "--comp", COMPLEXITY, "--max-delay", str(PAGE_MS)),
            *("--artist", "Bachbox", "--title", title, "-", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BachboxError(
            "the program opusenc is missing: run `sudo apt install opus-tools`"
        ) from error


async def _feed(
    encoder: asyncio.StreamWriter,
    box: BoxStatus,
    title: str,
    first: Sound,
    sounds: AsyncIterator[Sound],
) -> Sound | None:
    """Write the sound to the encoder until the title or the sample rate changes.

    Returns the sound after that; None if there is no more, or the encoder is gone.
    """
    after = None
    with contextlib.suppress(ConnectionError):
        encoder.write(first.samples)
        async for sound in sounds:
            if sound.sample_rate != first.sample_rate or box.now_playing().title != title:
                after = sound
                break
            encoder.write(sound.samples)
            await encoder.drain()
    encoder.close()
    return after


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
