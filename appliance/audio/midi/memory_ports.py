"""MIDI ports in memory: for programs and tests without a device, like gpiozero's mock pins."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence

from appliance.audio.midi import Timed


class MemoryOut:
    """An :class:`appliance.audio.midi.OutPort` that keeps what it is sent.

    Attributes:
        sent: what a device at the other end has received, or will when it is due.
        is_plugged: whether there is a device at the other end.
    """

    def __init__(self) -> None:
        self.sent: list[Timed] = []
        self.is_plugged = True
        self.is_connected = False
        self._changed = threading.Event()

    def plug(self, is_plugged: bool) -> None:
        """Plug the device in, or pull it out."""
        self.is_plugged = is_plugged
        self.is_connected = self.is_connected and is_plugged
        self._changed.set()

    def connect(self) -> bool:
        is_new = self.is_plugged and not self.is_connected
        self.is_connected = self.is_plugged
        return is_new

    def wait(self, timeout_s: float) -> None:
        if self._changed.wait(timeout_s):
            self._changed.clear()

    def wake(self) -> None:
        self._changed.set()

    def send(self, messages: Sequence[Timed]) -> bool:
        if self.is_connected:
            self.sent += messages
        return True

    def cancel(self) -> None:
        now = time.monotonic()
        self.sent = [timed for timed in self.sent if timed.at_s <= now]

    def close(self) -> None:
        self.cancel()
        self.is_connected = False


class MemoryIn:
    """An :class:`appliance.audio.midi.InPort` that hears what :meth:`play` is given."""

    def __init__(self, name: str = "memory") -> None:
        self._name = name
        self._messages: deque[bytes] = deque()
        self._heard = threading.Event()

    def play(self, *messages: bytes) -> None:
        """Let messages come; may be called from any thread."""
        self._messages += messages
        self._heard.set()

    def connect(self) -> list[str]:
        return [self._name]

    def read(self, timeout_s: float) -> list[bytes]:
        self._heard.wait(timeout_s)
        self._heard.clear()
        return [self._messages.popleft() for _ in range(len(self._messages))]

    def close(self) -> None:
        self._heard.set()
