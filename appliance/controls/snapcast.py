"""Other rooms: the box's sound into the pipe that a Snapcast server reads, beside the sound card.

Snapcast (https://github.com/badaix/snapcast) does what multi-room takes: clocks, buffers, clients.
A pipe is all that it wants of us: raw s16le stereo, at the rate of the sound card.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.player.tap import BYTES_PER_FRAME
from appliance.settings import Settings
from appliance.status import Box

LOOK_SECONDS: Final = 1.0
"""How often we look whether somebody reads."""

CUSHION_SECONDS: Final = 0.1
"""Silence that goes ahead: the reader keeps its own time, and is never to find the pipe empty."""

_ATOMIC_BYTES: Final = 4096
"""PIPE_BUF: so much is written wholly or not at all, and so no frame is ever broken."""

_USUAL_RATE: Final = 48_000


class SnapcastPipe:
    """See :class:`appliance.controls.Control`; ``path`` is the pipe's, and made where it is not."""

    name = "snapcast"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, settings: Settings, box: Box) -> None:
        """Feed the pipe until cancelled.

        Raises:
            BachboxError: there is something else at that path, or it may not be written to.
        """
        self._make()
        while True:
            fd = self._reader()
            if fd is None:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            try:
                await self._feed(fd, box)
            finally:
                os.close(fd)

    def _make(self) -> None:
        try:
            if not self._path.exists():
                os.mkfifo(self._path)
            if not stat.S_ISFIFO(self._path.stat().st_mode):
                raise BachboxError(
                    f"{self._path} is not a pipe: [stream] snapcast names the one that snapserver "
                    "reads; it is made where there is nothing"
                )
            if not os.access(self._path, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise BachboxError(
                f"cannot write the pipe {self._path}: {error.strerror}; choose a folder that "
                "Bachbox and snapserver may both use"
            ) from error

    def _reader(self) -> int | None:
        """The pipe, open, if somebody reads it."""
        with contextlib.suppress(OSError):
            return os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return None

    async def _feed(self, fd: int, box: Box) -> None:
        """Sound to this reader until it has gone."""
        sample_rate = _USUAL_RATE
        with contextlib.suppress(BrokenPipeError):
            async with contextlib.aclosing(box.sound.listen()) as sounds:
                _write(fd, bytes(int(CUSHION_SECONDS * sample_rate) * BYTES_PER_FRAME))
                async for sound in sounds:
                    if sound.sample_rate != sample_rate:
                        sample_rate = sound.sample_rate
                        box.say(
                            f"bachbox: snapcast: the sound card runs at {sample_rate} Hz, so "
                            f"snapserver's source needs sampleformat={sample_rate}:16:2"
                        )
                    _write(fd, sound.samples)


def _write(fd: int, samples: bytes) -> None:
    """As much as there is room for: a reader that does not keep pace misses the rest."""
    with contextlib.suppress(BlockingIOError):
        for start in range(0, len(samples), _ATOMIC_BYTES):
            os.write(fd, samples[start : start + _ATOMIC_BYTES])
