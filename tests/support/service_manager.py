"""What systemd is for a service: a datagram socket that it tells how it goes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_TIMEOUT_S = 120.0

_MARK = b"all messages before this one have been received"


class Listener:
    """Hears what is said at ``path``, each datagram with its time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[tuple[float, bytes]] = []
        self._marks = 0
        self._news = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def messages(self) -> list[str]:
        return [message.decode() for _, message in self.heard]

    def wait_for(self, beginning: str, count: int = 1, after: float = 0.0) -> str:
        """The message that begins so, once there are ``count`` of them after a time."""
        deadline = time.monotonic() + _TIMEOUT_S
        with self._news:
            while True:
                found = [
                    text
                    for when, text in ((when, raw.decode()) for when, raw in self.heard)
                    if text.startswith(beginning) and when > after
                ]
                if len(found) >= count:
                    return found[-1]
                left = deadline - time.monotonic()
                assert left > 0, (beginning, self.messages())
                self._news.wait(left)

    def caught_up(self) -> float:
        """Wait until all messages sent before this call are received; the time then."""
        with self._news:
            marks = self._marks
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(_MARK, str(self.path))
        with self._news:
            assert self._news.wait_for(lambda: self._marks > marks, _TIMEOUT_S)
        return time.monotonic()

    def count(self, message: str, after: float = 0.0) -> int:
        return sum(raw.decode() == message and when > after for when, raw in self.heard)

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                message = self._socket.recv(1 << 16)
            except OSError:
                return
            with self._news:
                if message == _MARK:
                    self._marks += 1
                else:
                    self.heard.append((time.monotonic(), message))
                self._news.notify_all()


@contextlib.contextmanager
def service_manager(folder: Path) -> Iterator[Listener]:
    """A listener; :func:`environment` is what a service gets to know of it."""
    listener = Listener(folder / "notify")
    try:
        yield listener
    finally:
        listener.close()


def environment(listener: Listener, watchdog_seconds: float = 0.0) -> dict[str, str]:
    """What systemd would put into the service's environment, without the process's number."""
    told = {"NOTIFY_SOCKET": str(listener.path)}
    if watchdog_seconds:
        told["WATCHDOG_USEC"] = str(round(watchdog_seconds * 1e6))
    return told
