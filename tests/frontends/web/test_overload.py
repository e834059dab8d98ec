"""Floods of requests and connections do not disturb the music."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from appliance.frontends.web.server import IDLE_S, MAX_CONNECTIONS
from tests.support import audio_analysis
from tests.support.running_box import LONGEST_BREATH_S
from tests.support.virtual_card import VirtualCard
from tests.support.web_server import WebBox, eventually, playing_web_box, web_box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, card: VirtualCard) -> Iterator[WebBox]:
    with playing_web_box(
        tmp_path_factory.mktemp("attack"), output="default", environment=card.environment
    ) as one:
        eventually(lambda: health(one)["look_ahead_s"] > 2)
        yield one


@pytest.fixture(autouse=True)
def _enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def health(box: WebBox) -> dict[str, Any]:
    return dict(box.get("/api/status")["health"])


@pytest.fixture
def undisturbed(
    box: WebBox, card: VirtualCard, tmp_path: Path
) -> Callable[[Callable[[], None]], None]:
    """Checks that the music goes on; `make bench` counts the blocks that come too late."""

    def check(attack: Callable[[], None]) -> None:
        before, recording = health(box), tmp_path / "recording.raw"
        with card.recording(recording):
            attack()
            time.sleep(2.0)
        assert health(box)["restarts"] == before["restarts"]
        eventually(lambda: health(box)["notes"] > before["notes"])
        recorded = audio_analysis.raw(recording.read_bytes())
        assert audio_analysis.silence_seconds(recorded) < LONGEST_BREATH_S

    return check


def connect(box: WebBox) -> socket.socket:
    return socket.create_connection(("127.0.0.1", box.port), timeout=120)


def test_thousand_idle_connections(
    box: WebBox, undisturbed: Callable[[Callable[[], None]], None]
) -> None:
    process = psutil.Process(box.process.process.pid)
    memory = process.memory_info().rss

    def attack() -> None:
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(connect(box)) for _ in range(1000)]
            # All others are served as ever.
            for tempo in range(60, 90):
                assert box.set(tempo=tempo)["tempo"] == tempo
            assert process.num_fds() < MAX_CONNECTIONS + 64
            assert process.memory_info().rss < memory + (16 << 20)
            assert idle

    undisturbed(attack)


def test_slow_requests(box: WebBox, undisturbed: Callable[[Callable[[], None]], None]) -> None:
    """Slow-loris: a request of many headers, a byte at a time, is not waited for."""

    def attack() -> None:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connect(box)) for _ in range(100)]
            for one in slow:
                one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
                one.settimeout(0)
            gone: set[int] = set()
            deadline = time.monotonic() + IDLE_S + 60
            while len(gone) < len(slow):
                assert time.monotonic() < deadline, len(gone)
                for at, one in enumerate(slow):
                    try:
                        one.send(b"x")
                        if one.recv(1) == b"":
                            gone.add(at)
                    except BlockingIOError:
                        continue
                    except OSError:
                        gone.add(at)
                assert box.get("/api/now")
                time.sleep(0.5)

    undisturbed(attack)


def test_slow_bodies_and_slow_readers(
    box: WebBox, undisturbed: Callable[[Callable[[], None]], None]
) -> None:
    def attack() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                body = stack.enter_context(connect(box))
                body.sendall(
                    b"PATCH /api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    b"Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{"
                )
                deaf = stack.enter_context(connect(box))
                deaf.sendall(b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
            for tempo in range(60, 70):
                assert box.set(tempo=tempo)["tempo"] == tempo

    undisturbed(attack)


def test_many_live_clients_that_never_read(
    box: WebBox, undisturbed: Callable[[Callable[[], None]], None]
) -> None:
    """Each is let go once too much waits for it."""

    def attack() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                one = stack.enter_context(connect(box))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                one.sendall(
                    b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
            for number in range(100):
                box.set(tempo=60 + number)

    undisturbed(attack)


def test_request_flood(box: WebBox, undisturbed: Callable[[Callable[[], None]], None]) -> None:
    seen: set[int] = set()

    def knock(until: float) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                seen.add(box.request("GET", "/api/status").status)

    def attack() -> None:
        until = time.monotonic() + 4
        threads = [threading.Thread(target=knock, args=(until,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: box.request("GET", "/healthz").status == 200)
        # The bucket of this address is empty; it fills.
        eventually(lambda: box.request("GET", "/api/status").status == 200)
        time.sleep(1)

    undisturbed(attack)
    assert seen <= {200, 429}


def test_wrong_passwords_are_slowed_down(tmp_path: Path) -> None:
    from appliance.frontends.web.passwords import hash_password

    with web_box(tmp_path, f'password_hash = "{hash_password("a good password")}"') as one:
        process = psutil.Process(one.process.process.pid)
        # What the page needs is imported by now.
        assert one.request("GET", "/api/now").status == 200
        memory = process.memory_info().rss
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda n: one.request("POST", "/api/session", {"password": f"wrong {n}"}),
                    range(8),
                )
            )
        statuses = [answer.status for answer in answers]
        # Five at once, of which four may wait for one another; the others hear when to come.
        assert statuses.count(429) >= 2
        assert set(statuses) <= {403, 429, 503}
        waits = [int(a.headers["Retry-After"]) for a in answers if a.status == 429]
        assert all(1 <= wait <= 13 for wait in waits)
        # A hash takes 32 MiB while it is calculated, and eight at once would take eight times that.
        eventually(lambda: process.memory_info().rss < memory + (40 << 20))
        assert one.request("GET", "/api/now").status == 200
        assert one.request("PATCH", "/api/settings", {"tempo": 50}).status == 401
