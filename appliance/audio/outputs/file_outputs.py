"""Outputs without a sound card: a WAV file, a pipe of raw sound, and none at all.

They have no clock of their own, so they play in real time by the system's monotonic clock: the
composer writes only a few seconds ahead, and the music must not overtake it.
"""

from __future__ import annotations

import contextlib
import os
import select
import stat
import struct
import threading
import time
from pathlib import Path
from typing import Final

from appliance.audio.outputs import Render
from appliance.errors import BachboxError, cannot_write
from appliance.ipc.pcm import BYTES_PER_FRAME

_BUFFERED_BLOCKS: Final = 4
"""How many blocks a pacer may be late before it counts an xrun: a sound card's usual buffer."""

_HEADER_INTERVAL_S: Final = 1.0
"""How often the header of a growing WAV file is updated, so that the file can be read even if the
process is killed."""

_WAV_MAX_BYTES: Final = (1 << 32) - 4096
"""A WAV file's sizes are 32-bit numbers."""

_WAV_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF form, format chunk (PCM, stereo), head of the data chunk: 44 bytes."""

_ATOMIC_BYTES: Final = 4096
"""PIPE_BUF: a write of at most this many bytes goes into a pipe completely or not at all, so that a
reader never loses the beginning of a frame."""


class Pacer:
    """Paces blocks in real time: one every ``block_frames / sample_rate`` seconds."""

    def __init__(self, block_frames: int, sample_rate: int) -> None:
        self._block_s = block_frames / sample_rate
        self._due: float | None = None
        self.xruns = 0

    def wait(self, stop: threading.Event) -> None:
        """Return when the next block is due (or ``stop`` is set)."""
        now = time.monotonic()
        if self._due is None:
            self._due = now
        self._due += self._block_s
        if now > self._due + _BUFFERED_BLOCKS * self._block_s:
            self.xruns += 1
            self._due = now
        elif now < self._due:
            stop.wait(self._due - now)


class NullOutput:
    """Discards the sound, in real time."""

    def __init__(self, block_frames: int, sample_rate: int, name: str = "null") -> None:
        self.name = name
        self.problem = ""
        self.choices: list[str] = []
        self.sample_rate = sample_rate
        self._block_frames = block_frames
        self._pacer = Pacer(block_frames, sample_rate)

    @property
    def xruns(self) -> int:
        """How many blocks came too late for a sound card."""
        return self._pacer.xruns

    def run(self, render: Render, stop: threading.Event) -> None:
        """Play until ``stop`` is set."""
        while not stop.is_set():
            self.write(render(self._block_frames))
            self._pacer.wait(stop)

    def write(self, sound: bytes) -> None:
        """Discard a block."""

    def close(self) -> None:
        """Do nothing."""


class WavFile:
    """A growing WAV file, 16-bit stereo, whose header is at most a second old.

    Args:
        path: where it is.
        sample_rate: frames per second.
        resume: append to the file if it exists, as after a process that was killed.

    Raises:
        BachboxError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        resume: bool = False,
        shown_path: Path | None = None,
    ) -> None:
        self._shown_path = shown_path or path
        self._rate = sample_rate
        self._header_every_bytes = int(_HEADER_INTERVAL_S * sample_rate) * BYTES_PER_FRAME
        try:
            resume = resume and path.is_file()
            # The file stays open for as long as the object.
            self._file = path.open("r+b" if resume else "wb")
            sound_bytes = max(0, self._file.seek(0, os.SEEK_END) - _WAV_HEADER.size)
            self._bytes = sound_bytes - sound_bytes % BYTES_PER_FRAME
            self._write_header()
        except OSError as error:
            raise cannot_write(self._shown_path, error) from error

    def write(self, sound: bytes) -> None:
        """Append sound.

        Args:
            sound: whole frames, interleaved stereo s16le.

        Raises:
            BachboxError: the file cannot be written, or would exceed 4 GiB.
        """
        if self._bytes + len(sound) > _WAV_MAX_BYTES:
            raise BachboxError(
                f"{self._shown_path} is as long as a WAV file can be (4 GiB, six hours): play to "
                "another file, or to a sound card"
            )
        self._bytes += len(sound)
        try:
            self._file.write(sound)
            if self._bytes - self._bytes_at_header >= self._header_every_bytes:
                self._write_header()
        except OSError as error:
            raise cannot_write(self._shown_path, error) from error

    def close(self) -> None:
        """Update the header and close the file.

        Raises:
            BachboxError: the file cannot be written.
        """
        try:
            self._write_header()
            self._file.close()
        except OSError as error:
            # Closing tries again to write what could not be written; only the first error matters.
            with contextlib.suppress(OSError):
                self._file.close()
            raise cannot_write(self._shown_path, error) from error

    def _write_header(self) -> None:
        self._bytes_at_header = size = self._bytes
        rate = self._rate
        self._file.seek(0)
        self._file.write(
            _WAV_HEADER.pack(
                *(b"RIFF", _WAV_HEADER.size - 8 + size, b"WAVE"),
                *(b"fmt ", 16, 1, 2, rate, rate * BYTES_PER_FRAME, BYTES_PER_FRAME, 16),
                *(b"data", size),
            )
        )
        self._file.seek(_WAV_HEADER.size + size)
        self._file.flush()


class WavOutput(NullOutput):
    """Plays into a WAV file, in real time."""

    def __init__(
        self, path: Path, block_frames: int, sample_rate: int, resume: bool = False
    ) -> None:
        super().__init__(block_frames, sample_rate, f"wav:{path}")
        self._file = WavFile(path, sample_rate, resume)

    def write(self, sound: bytes) -> None:
        """Append one block of interleaved stereo s16le to the file.

        Raises:
            BachboxError: the file cannot be written, or would exceed 4 GiB.
        """
        self._file.write(sound)

    def close(self) -> None:
        """Update the header and close the file.

        Raises:
            BachboxError: the file cannot be written.
        """
        self._file.close()


class PipeOutput(NullOutput):
    """Writes raw sound into a FIFO, whose reader may come and go, or into a regular file.

    Without a reader the sound is discarded. A FIFO is created if ``path`` does not exist.

    Raises:
        BachboxError: ``path`` is neither, or cannot be written.
    """

    def __init__(self, path: Path, block_frames: int, sample_rate: int) -> None:
        super().__init__(block_frames, sample_rate, f"pipe:{path}")
        self._path = path
        self._fd: int | None = None
        self._wait_s = _BUFFERED_BLOCKS * block_frames / sample_rate
        self._dropped = 0
        self._behind = False
        try:
            if not path.exists():
                os.mkfifo(path)
            mode = path.stat().st_mode
            if stat.S_ISREG(mode):
                self._fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
            elif not stat.S_ISFIFO(mode):
                raise BachboxError(
                    f"{path} is neither a pipe nor a file: give pipe:FILE a FIFO (`mkfifo FILE`)"
                )
            elif not os.access(path, os.W_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise self._sentence(error) from error

    @property
    def xruns(self) -> int:
        """How many blocks came too late, and how many gaps a slow reader has caused."""
        return super().xruns + self._dropped

    def write(self, sound: bytes) -> None:
        """Pass a block of interleaved stereo s16le to the reader, if there is one and it keeps up.

        Raises:
            BachboxError: the pipe or the file cannot be written.
        """
        if self._fd is None and not self._find_reader():
            return
        for start in range(0, len(sound), _ATOMIC_BYTES):
            if self._fd is None:
                return
            if not self._send(self._fd, sound[start : start + _ATOMIC_BYTES]):
                # A gap is counted once, however long.
                self._dropped += not self._behind
                self._behind = True
                return
        self._behind = False

    def close(self) -> None:
        """Close the pipe; it is not removed."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _find_reader(self) -> bool:
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            # ENXIO: there is no reader. ENOENT: the pipe was removed, and may be created again.
            return False
        return True

    def _send(self, fd: int, chunk: bytes) -> bool:
        try:
            if self._behind:
                # Do not wait for this reader again.
                os.write(fd, chunk)
                return True
            try:
                os.write(fd, chunk)
            except BlockingIOError:
                select.select([], [fd], [], self._wait_s)
                os.write(fd, chunk)
        except BlockingIOError:
            return False
        except BrokenPipeError:
            self.close()
        except OSError as error:
            raise self._sentence(error) from error
        return True

    def _sentence(self, error: OSError) -> BachboxError:
        return BachboxError(
            f"cannot write the pipe {self._path}: {error.strerror}; choose a folder that "
            "exists, may be written to and has room"
        )
