"""The sound as MP3, encoded once for all listeners by ``lame`` (package lame).

A program of its own, like opusenc: the daemon loads no encoder, and needs none without listeners.
A listener can join at any byte, because players look for the next frame.
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

KEPT_PARTS: Final = 64
"""How far a slow listener may fall behind before it misses some."""

_PART_BYTES: Final = 4096


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
            while part := await process.stdout.read(_PART_BYTES):
                publish(part)
            if not feeding.done():
                raise BachboxError("the MP3 encoder has stopped; it starts again when needed")
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


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
