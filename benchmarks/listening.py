"""A player whose settings are changed over its local socket and whose card is recorded.

The moment of a change is that before its line is sent. The moment of a recorded frame is when it
reached the recorder at the earliest possible pace, so what card and recorder add counts against
Bachbox.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from appliance.frontends import local_socket
from appliance.state.box_status import Status
from benchmarks import measure
from benchmarks.measure import FailedError
from benchmarks.running_player import TIMEOUT_S, Player, playing
from tests.support.virtual_card import RATE, VirtualCard

SETTLE_S: Final = 4.0
FRAMES_PER_MS: Final = RATE // 1000

Sound = NDArray[np.float64]
"""One channel at :data:`RATE`, in steps of 16 bits."""


class SocketClient:
    """A connection to the local socket of a running box, as `bachbox set` makes one.

    Raises:
        FailedError: the box does not listen.
    """

    def __init__(self, card: VirtualCard) -> None:
        path = card.folder / "bachbox" / local_socket.FILE_NAME
        deadline = time.monotonic() + TIMEOUT_S
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(str(path))
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise FailedError(f"the box does not listen at {path} ({error})") from error
                time.sleep(0.05)
        self._lines = self._socket.makefile("rb")

    def set(self, **settings: object) -> float:
        """Change settings; the moment before that."""
        moment = time.monotonic()
        self.ask(set=settings)
        return moment

    def ask(self, **request: object) -> Status:
        """Send a request; the state of the box after it."""
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        answer = msgspec.json.decode(self._lines.readline(), type=local_socket.Response)
        if answer.status is None:
            raise FailedError(answer.error)
        return answer.status

    def close(self) -> None:
        """Close the connection."""
        self._lines.close()
        self._socket.close()


class Recorder:
    """What the card plays from now on, and when."""

    def __init__(self, card: VirtualCard) -> None:
        self._recorder = subprocess.Popen(
            [
                *("parec", "--device=card.monitor", f"--rate={RATE}", "--format=s16le"),
                *("--channels=2", "--raw", "--latency-msec=10"),
            ],
            env=card.environment,
            stdout=subprocess.PIPE,
        )
        self._content = bytearray()
        self._begin = float("inf")
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def _record(self) -> None:
        assert self._recorder.stdout is not None
        pipe = self._recorder.stdout.fileno()
        while chunk := os.read(pipe, 1 << 14):
            with self._lock:
                self._content += chunk
                self._begin = min(self._begin, time.monotonic() - len(self._content) / 4 / RATE)

    def restart(self) -> None:
        """Forget what was recorded so far."""
        with self._lock:
            del self._content[: len(self._content) // 4 * 4]
            self._begin = float("inf")

    def stop(self) -> None:
        """Record no more."""
        self._recorder.terminate()
        self._thread.join()
        self._recorder.wait()

    def sound(self) -> Sound:
        """All that was recorded, as one channel."""
        with self._lock:
            whole = bytes(self._content[: len(self._content) // 4 * 4])
        return np.asarray(np.frombuffer(whole, "<i2").reshape(-1, 2).mean(axis=1), np.float64)

    @property
    def begin(self) -> float:
        """When frame 0 arrived, had every frame arrived as soon as the quickest one."""
        return self._begin


@contextlib.contextmanager
def recorded_player(
    card: VirtualCard, config: str = "", **settings: object
) -> Iterator[tuple[Player, SocketClient, Recorder]]:
    """A player with these settings, a connection to it and a recorder of its card."""
    with playing(card, 1, config) as player:
        player.attach()
        client, recorder = SocketClient(card), Recorder(card)
        try:
            client.set(**settings)
            measure.wait(SETTLE_S)
            yield player, client, recorder
        finally:
            client.close()
            recorder.stop()


def levels(sound: Sound) -> Sound:
    """The loudness in 10 ms around every millisecond."""
    hops = len(sound) // FRAMES_PER_MS
    power = (sound[: hops * FRAMES_PER_MS].reshape(hops, FRAMES_PER_MS) ** 2).mean(axis=1)
    return np.asarray(np.sqrt(np.convolve(power, np.full(10, 0.1), "same")), np.float64)


def onsets(recorder: Recorder) -> list[float]:
    """The moments at which a percussive instrument is struck."""
    sound = np.diff(recorder.sound())
    hops = len(sound) // FRAMES_PER_MS
    peak = np.abs(sound[: hops * FRAMES_PER_MS].reshape(hops, FRAMES_PER_MS)).max(axis=1)
    found: list[float] = []
    last = -1000
    for at in range(20, hops):
        if at - last > 40 and peak[at] > 60 and peak[at] > 4 * peak[at - 15 : at - 1].mean():
            found.append(recorder.begin + at / 1000)
            last = at
    return found


def p95(values: list[float]) -> float:
    """The 95th percentile."""
    return float(np.quantile(values, 0.95))
