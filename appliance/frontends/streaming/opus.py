"""The sound as Ogg Opus, encoded once for all listeners by ``opusenc`` (package opus-tools).

An Ogg stream consists of pages. The first pages hold the headers, which every listener needs
first; after them a listener can join at any page (RFC 7845, section 3).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

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


class OpusBroadcast:
    """One encoded stream for any number of listeners; the encoder runs only while there is one."""

    def __init__(self) -> None:
        self._headers = b""
        self._broadcast: Broadcast[bytes] | None = None

    async def listen(self, box: BoxStatus) -> AsyncGenerator[bytes, None]:
        """Yield the headers, and then the pages from now on; use ``contextlib.aclosing``.

        Ends when the sample rate of the sound card changes; listen again then.

        Raises:
            BachboxError: opusenc is missing or fails.
        """
        if self._broadcast is None:
            self._broadcast = Broadcast(lambda publish: self._encode(box, publish), KEPT_PAGES)
        headers_sent = False
        async with contextlib.aclosing(self._broadcast.listen()) as pages:
            async for page in pages:
                if not headers_sent:
                    headers_sent = True
                    yield self._headers
                yield page

    async def _encode(self, box: BoxStatus, publish: Publish[bytes]) -> None:
        async with contextlib.aclosing(box.sound.listen()) as sounds:
            first = await anext(sounds)
            process = await _start_opusenc(first.sample_rate)
            assert process.stdin is not None
            assert process.stdout is not None
            feeding = asyncio.create_task(_feed(process.stdin, first, sounds))
            try:
                headers = []
                async for page in read_pages(process.stdout):
                    granule_position = _PAGE_HEADER.unpack_from(page)[3]
                    if granule_position == 0:
                        # Only header pages end before any sound.
                        headers.append(page)
                        self._headers = b"".join(headers)
                    else:
                        publish(page)
                if not feeding.done():
                    raise BachboxError("the Opus encoder has stopped; it starts again when needed")
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def _start_opusenc(sample_rate: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *("opusenc", "--quiet", "--raw", "--raw-rate", str(sample_rate), "--raw-chan", "2"),
            *("--bitrate", str(BITRATE_KBPS), "--comp", COMPLEXITY, "--max-delay", str(PAGE_MS)),
            *("--title", "Bachbox", "-", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BachboxError(
            "the program opusenc is missing: run `sudo apt install opus-tools`"
        ) from error


async def _feed(encoder: asyncio.StreamWriter, first: Sound, sounds: AsyncIterator[Sound]) -> None:
    """Write the sound to the encoder until the sample rate changes."""
    with contextlib.suppress(ConnectionError):
        encoder.write(first.samples)
        async for sound in sounds:
            if sound.sample_rate != first.sample_rate:
                break
            encoder.write(sound.samples)
            await encoder.drain()
    encoder.close()


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
