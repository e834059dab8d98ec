"""The box's sound as Ogg Opus, encoded once for all who listen, by ``opusenc`` (opus-tools).

Ogg comes in pages. The first ones hold the headers, which everybody has to get first, whenever
they come; after them a listener can begin with any page (RFC 7845, as radio stations do it).
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from appliance.audio.broadcast import Broadcast, Give
from appliance.errors import BachboxError
from appliance.ipc.audio_tap import Sound
from appliance.state.box_status import BoxStatus

BITRATE_KBPS: Final = 128

PAGE_MS: Final = 100
"""The longest that sound waits for its page to be full."""

COMPLEXITY: Final = "5"
"""Of 10: a third of the processor's work, and no difference to hear at this rate."""

KEPT_PAGES: Final = 50

_PAGE: Final = struct.Struct("<4sBBqIIIB")
_BEGINS_STREAM: Final = 2
_READ_BYTES: Final = 4096


class OpusBroadcast:
    """For any number of listeners; the encoder runs only while there is one."""

    def __init__(self) -> None:
        self._headers = b""
        self._broadcast: Broadcast[bytes] | None = None

    async def listen(self, box: BoxStatus) -> AsyncGenerator[bytes, None]:
        """The stream, from its headers on (``contextlib.aclosing``).

        Ends when the sound card's rate changes: listen again.

        Raises:
            BachboxError: opusenc is missing or fails.
        """
        if self._broadcast is None:
            self._broadcast = Broadcast(lambda give: self._encode(box, give), KEPT_PAGES)
        begun = False
        async with contextlib.aclosing(self._broadcast.listen()) as pages:
            async for page in pages:
                if not begun:
                    begun = True
                    yield self._headers
                yield page

    async def _encode(self, box: BoxStatus, give: Give[bytes]) -> None:
        async with contextlib.aclosing(box.sound.listen()) as sounds:
            first = await anext(sounds)
            process = await _opusenc(first.sample_rate)
            assert process.stdin is not None
            assert process.stdout is not None
            feeding = asyncio.create_task(_feed(process.stdin, first, sounds))
            try:
                headers = []
                async for page in pages_of(process.stdout):
                    granule = _PAGE.unpack_from(page)[3]
                    if granule == 0:
                        # Only the headers' pages have no sound before their end.
                        headers.append(page)
                        self._headers = b"".join(headers)
                    else:
                        give(page)
                if not feeding.done():
                    raise BachboxError("the Opus encoder has ended; it starts again when needed")
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def _opusenc(sample_rate: int) -> asyncio.subprocess.Process:
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
    """Sound into the encoder; one that does not keep pace misses some of it."""
    with contextlib.suppress(ConnectionError):
        encoder.write(first.samples)
        async for sound in sounds:
            if sound.sample_rate != first.sample_rate:
                break
            encoder.write(sound.samples)
            await encoder.drain()
    encoder.close()


async def pages_of(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """The pages of an Ogg stream (RFC 3533), until it ends or is none."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            head = await stream.readexactly(_PAGE.size)
            mark, *_, segments = _PAGE.unpack(head)
            if mark != b"OggS":
                return
            lengths = await stream.readexactly(segments)
            yield head + lengths + await stream.readexactly(sum(lengths))
