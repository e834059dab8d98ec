"""The sound as MP3, encoded once for all listeners by ``lame`` (package lame).

A program of its own, like opusenc: the daemon loads no encoder, and needs none without listeners.
A part is one frame, so a listener joins at the start of a frame: players that join within one may
take its content for a header.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Final

from appliance.audio.broadcast import Broadcast, Publish
from appliance.errors import BachboxError
from appliance.frontends.streaming import encoder
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
        command = (
            *("lame", "--quiet", "-r", "-s", f"{first.sample_rate / 1000:g}", "--signed"),
            *("--little-endian", "--bitwidth", "16", "-m", "j", "-b", str(BITRATE_KBPS)),
            *("-q", QUALITY, "-t", "--flush", "-", "-"),
        )

        def has_another_rate(sound: Sound) -> bool:
            return sound.sample_rate != first.sample_rate

        async with encoder.running(command, "lame", first, sounds, has_another_rate) as lame:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    header = await lame.encoded.readexactly(_HEADER_BYTES)
                    rest_bytes = frame_bytes(header) - _HEADER_BYTES
                    publish(header + await lame.encoded.readexactly(rest_bytes))
            if not lame.feeding.done():
                raise BachboxError("the MP3 encoder has stopped; it starts again when needed")


def frame_bytes(header: bytes) -> int:
    """Return the length of the frame with this header, at :data:`BITRATE_KBPS` (MPEG-1 layer 3)."""
    padding = header[2] >> 1 & 1
    return 144_000 * BITRATE_KBPS // _RATES_HZ[header[2] >> 2 & 3] + padding
