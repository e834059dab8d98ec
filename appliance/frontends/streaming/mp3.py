"""The sound as MP3, encoded once for all listeners by ``lame`` (package lame).

A program of its own, like opusenc: the daemon loads no encoder, and needs none without listeners.
A part is one frame, so a listener joins at the start of a frame: players that join within one may
take its content for a header.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from appliance.audio.broadcast import Broadcast, Publish
from appliance.errors import BachboxError
from appliance.ipc.audio_tap import Sound
from appliance.state.box_status import BoxStatus

BITRATE_KBPS: Final = 160

QUALITY: Final = "7"
"""From 0 (slow) to 9; 7 takes half of the processor time of the default."""

KEPT_PARTS: Final = 512
"""How far a slow listener may fall behind before it misses some."""

_HEADER_BYTES: Final = 4

_RATES_HZ: Final = (44_100, 48_000, 32_000)
"""By their number in a frame header of MPEG-1 (ISO/IEC 11172-3, 2.4.2.3)."""


class Mp3Broadcast:
    """One encoded stream for any number of listeners; the encoder runs only while there is one."""

    media_type: Final = "audio/mpeg"

    def __init__(self) -> None:
        self._broadcast: Broadcast[bytes] | None = None

    async def listen(self, box: BoxStatus) -> AsyncGenerator[bytes, None]:
        """Yield the stream from now on; use ``contextlib.aclosing``.

        Ends when the sample rate of the sound card changes; listen again then.

        Raises:
            BachboxError: lame is missing or fails.
        """
        if self._broadcast is None:
            self._broadcast = Broadcast(lambda publish: _encode(box, publish), KEPT_PARTS)
        async with contextlib.aclosing(self._broadcast.listen()) as parts:
            async for part in parts:
                yield part


async def _encode(box: BoxStatus, publish: Publish[bytes]) -> None:
    async with contextlib.aclosing(box.sound.listen()) as sounds:
        first = await anext(sounds)
        process = await _start_lame(first.sample_rate)
        assert process.stdin is not None
        assert process.stdout is not None
        feeding = asyncio.create_task(_feed(process.stdin, first, sounds))
        try:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    header = await process.stdout.readexactly(_HEADER_BYTES)
                    rest_bytes = frame_bytes(header) - _HEADER_BYTES
                    publish(header + await process.stdout.readexactly(rest_bytes))
            if not feeding.done():
                raise BachboxError("the MP3 encoder has stopped; it starts again when needed")
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def frame_bytes(header: bytes) -> int:
    """Return the length of the frame with this header, at :data:`BITRATE_KBPS` (MPEG-1 layer 3)."""
    padding = header[2] >> 1 & 1
    return 144_000 * BITRATE_KBPS // _RATES_HZ[header[2] >> 2 & 3] + padding


async def _start_lame(sample_rate: int) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *("lame", "--quiet", "-r", "-s", f"{sample_rate / 1000:g}", "--signed"),
            *("--little-endian", "--bitwidth", "16", "-m", "j", "-b", str(BITRATE_KBPS)),
            *("-q", QUALITY, "-t", "--flush", "-", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BachboxError("the program lame is missing: run `sudo apt install lame`") from error


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
