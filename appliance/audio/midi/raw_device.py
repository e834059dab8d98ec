"""Raw MIDI devices: files that take and give the bytes of the wire, such as a serial line."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import threading
import time
import tty
from collections import deque
from collections.abc import Sequence
from typing import Final

from appliance.audio.midi import RETRY_S, Timed
from appliance.audio.midi.stream_parser import StreamParser

_MAX_WAITING: Final = 4096
"""Messages that wait for their time."""


def _open(path: str, flags: int) -> int:
    """Return a file descriptor of a device; a file is not created.

    Raises:
        OSError: there is no such device, or (of a pipe) nobody at its other end.
    """
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_ISCHR(os.fstat(fd).st_mode) and os.isatty(fd):
        tty.setraw(fd)
    return fd


class RawOut:
    """An :class:`appliance.audio.midi.OutPort` to the device ``path``.

    A thread writes each message when it is due.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._waiting: deque[Timed] = deque()
        self._changed = threading.Condition()
        self._woken = threading.Event()
        self._lost = False
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_all, name="midi-device", daemon=True)
        self._thread.start()

    @property
    def is_connected(self) -> bool:
        return self._fd >= 0

    def connect(self) -> bool:
        with self._changed:
            if self._fd >= 0 or self._is_closed:
                return False
            with contextlib.suppress(OSError):
                self._fd = _open(self._path, os.O_WRONLY)
            return self._fd >= 0

    def wait(self, timeout_s: float) -> None:
        self._woken.wait(min(timeout_s, RETRY_S))

    def wake(self) -> None:
        self._woken.set()

    def send(self, messages: Sequence[Timed]) -> bool:
        with self._changed:
            if self._fd >= 0:
                self._waiting += messages
                self._changed.notify_all()
            self._lost = self._lost or len(self._waiting) > _MAX_WAITING
            all_taken, self._lost = not self._lost, False
            return all_taken

    def cancel(self) -> None:
        with self._changed:
            self._waiting.clear()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(1.0)
        self._disconnect()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                now = time.monotonic()
                due = bytearray()
                while self._waiting and self._waiting[0].at_s <= now:
                    due += self._waiting.popleft().message
                if self._is_closed and not due:
                    return
                if not due:
                    self._changed.wait(self._waiting[0].at_s - now)
                    continue
            self._write(bytes(due))

    def _write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except BlockingIOError:
            self._lost = True
        except OSError:
            # Unplugged, or the reader of a pipe has gone.
            self._disconnect()

    def _disconnect(self) -> None:
        with self._changed:
            fd, self._fd = self._fd, -1
            self._waiting.clear()
        if fd >= 0:
            os.close(fd)


class RawIn:
    """An :class:`appliance.audio.midi.InPort` from the device ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._parser = StreamParser()

    def connect(self) -> list[str]:
        if self._fd < 0:
            with contextlib.suppress(OSError):
                self._fd = _open(self._path, os.O_RDONLY)
                self._parser = StreamParser()
        return [self._path] if self._fd >= 0 else []

    def read(self, timeout_s: float) -> list[bytes]:
        if self._fd < 0:
            time.sleep(min(timeout_s, RETRY_S))
            return []
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return []
        try:
            data = os.read(self._fd, 4096)
        except OSError:
            data = b""
        if not data:
            # Unplugged, or nobody writes into the pipe.
            self.close()
        return self._parser.feed(data)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
