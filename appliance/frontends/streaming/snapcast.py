"""Writes the sound into the pipe of a Snapcast server, which plays it in other rooms in sync.

Snapcast (https://github.com/badaix/snapcast) provides clocks, buffers and clients. All it needs is
a pipe with raw stereo samples (s16le) at the sample rate of the sound card.

A Snapcast server whose pipe has no writer closes and opens it over and over, and a pipe without a
reader cannot be opened for writing; so the pipe is opened for both. While no server reads, it
fills up (a third of a second of sound), and then its content is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

logger = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 5.0
"""How often the pipe is checked: it may have been replaced."""

_ATOMIC_BYTES: Final = 4096
"""PIPE_BUF: a write of this size is done completely or not at all, so no frame is split."""

_PIPE_BYTES: Final = 1 << 16

DEFAULT_RATE: Final = 48_000


class SnapcastPipe:
    """Writes into one pipe; see :class:`appliance.frontends.base.Frontend`.

    Args:
        path: the pipe; it is created where there is nothing.
    """

    name = "snapcast"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Write until cancelled.

        Raises:
            BachboxError: there is something else at that path, or no other program sees it.
        """
        if in_private_tmp(self._path, Path("/proc/self/mountinfo").read_text(errors="replace")):
            raise BachboxError(
                f"{self._path}: the service has a /tmp and a /var/tmp of its own, so snapserver "
                "does not see this pipe",
                remedy="set [stream] snapcast, and the source in snapserver.conf, to /run/snapfifo",
            )
        reported = ""
        while True:
            try:
                fd = self._open()
            except OSError as error:
                # The folder may belong to the server, and appear when the server starts.
                why = error.strerror or str(error)
                if why != reported:
                    reported = why
                    logger.warning(
                        "snapcast: cannot write to the pipe %s: %s; trying again until snapserver "
                        "has created it or its folder is writable", self._path, why,
                    )  # fmt: skip
                await asyncio.sleep(POLL_INTERVAL_S)
                continue
            reported = ""
            try:
                await self._feed(fd, box)
            finally:
                os.close(fd)

    def _open(self) -> int:
        if not self._path.exists():
            os.mkfifo(self._path)
        if not stat.S_ISFIFO(self._path.stat().st_mode):
            raise BachboxError(
                f"{self._path} is not a pipe: set [stream] snapcast to the pipe that snapserver "
                "reads, or to a path where there is nothing yet"
            )
        return os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    async def _feed(self, fd: int, box: BoxStatus) -> None:
        """Write the sound into the pipe ``fd`` until another file takes its place."""
        loop = asyncio.get_running_loop()
        sample_rate, check_at = DEFAULT_RATE, 0.0
        async with contextlib.aclosing(box.sound.listen()) as sounds:
            async for sound in sounds:
                if sound.sample_rate != sample_rate:
                    sample_rate = sound.sample_rate
                    logger.warning(
                        "snapcast: the sound card runs at %d Hz, so the source of snapserver "
                        "needs sampleformat=%d:16:2", sample_rate, sample_rate,
                    )  # fmt: skip
                if loop.time() > check_at:
                    check_at = loop.time() + POLL_INTERVAL_S
                    if not self._is_current(fd):
                        return
                _write(fd, sound.samples)

    def _is_current(self, fd: int) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(fd), self._path.stat())
        return False


def in_private_tmp(path: Path, mountinfo: str) -> bool:
    """Return whether ``path`` is in a /tmp that systemd's PrivateTmp= gave to this service alone.

    Args:
        path: an absolute path.
        mountinfo: the text of ``/proc/self/mountinfo`` (proc(5)).
    """
    mounts = [line.split()[3:5] for line in mountinfo.splitlines()]
    private = {point for root, point in mounts if "systemd-private-" in root}
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(point) for point in private)


def _write(fd: int, samples: bytes) -> None:
    for start in range(0, len(samples), _ATOMIC_BYTES):
        part = samples[start : start + _ATOMIC_BYTES]
        try:
            os.write(fd, part)
        except BlockingIOError:
            # The reader is gone or too slow. Empty the pipe, so that it gets the newest sound.
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, _PIPE_BYTES):
                    pass
            os.write(fd, part)
