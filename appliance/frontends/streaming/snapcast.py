"""Other rooms: the box's sound into the pipe that a Snapcast server reads, beside the sound card.

Snapcast (https://github.com/badaix/snapcast) does what multi-room takes: clocks, buffers, clients.
A pipe is all that it wants of us: raw s16le stereo, at the rate of the sound card.

A server that finds nobody at the other end of its pipe closes and opens it all the time, so we hold
both ends. What nobody takes fills the pipe (a third of a second), and is then thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

POLL_INTERVAL_S: Final = 5.0
"""How often we look whether the pipe is still there."""

_ATOMIC_BYTES: Final = 4096
"""PIPE_BUF: so much is written wholly or not at all, and so no frame is ever broken."""

_PIPE_BYTES: Final = 1 << 16

_USUAL_RATE: Final = 48_000


class SnapcastPipe:
    """See :class:`appliance.frontends.base.Frontend`; ``path`` is the pipe's, and made where it is not."""

    name = "snapcast"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Feed the pipe until cancelled.

        Raises:
            BachboxError: there is something else at that path.
        """
        told = ""
        while True:
            try:
                fd = self._open()
            except OSError as error:
                # Its folder may be the server's, and come and go with it.
                if told != (told := error.strerror or str(error)):
                    box.say(
                        f"bachbox: snapcast: cannot write the pipe {self._path}: {told}; trying "
                        "again until snapserver has made it, or its folder may be used"
                    )
                await asyncio.sleep(POLL_INTERVAL_S)
                continue
            told = ""
            try:
                await self._feed(fd, box)
            finally:
                os.close(fd)

    def _open(self) -> int:
        if not self._path.exists():
            os.mkfifo(self._path)
        if not stat.S_ISFIFO(self._path.stat().st_mode):
            raise BachboxError(
                f"{self._path} is not a pipe: [stream] snapcast names the one that snapserver "
                "reads; it is made where there is nothing"
            )
        return os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    async def _feed(self, fd: int, box: BoxStatus) -> None:
        """Sound into the pipe for as long as it is the one at that path."""
        loop = asyncio.get_running_loop()
        sample_rate, look_at = _USUAL_RATE, 0.0
        async with contextlib.aclosing(box.sound.listen()) as sounds:
            async for sound in sounds:
                if sound.sample_rate != sample_rate:
                    sample_rate = sound.sample_rate
                    box.say(
                        f"bachbox: snapcast: the sound card runs at {sample_rate} Hz, so "
                        f"snapserver's source needs sampleformat={sample_rate}:16:2"
                    )
                if loop.time() > look_at:
                    look_at = loop.time() + POLL_INTERVAL_S
                    if not self._is_there(fd):
                        return
                _write(fd, sound.samples)

    def _is_there(self, fd: int) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), self._path.stat())
        return False


def _write(fd: int, samples: bytes) -> None:
    for start in range(0, len(samples), _ATOMIC_BYTES):
        part = samples[start : start + _ATOMIC_BYTES]
        try:
            os.write(fd, part)
        except BlockingIOError:
            # Nobody reads, or too slowly: what comes next is to be of now, not of then.
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, _PIPE_BYTES):
                    pass
            os.write(fd, part)
