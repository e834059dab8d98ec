"""Whatever is done to the page, the music on the card does not notice."""

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
from tests.support.virtual_card import virtual_card
from tests.support.web_server import House, eventually, good_house, house


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with (
        virtual_card() as card,
        good_house(
            tmp_path_factory.mktemp("siege"), output="default", environment=card.environment
        ) as one,
    ):
        eventually(lambda: health(one)["look_ahead_s"] > 2)
        yield one


@pytest.fixture(autouse=True)
def _enough_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def health(kitchen: House) -> dict[str, Any]:
    return dict(kitchen.get("/api/status")["health"])


def unheard(kitchen: House, siege: Callable[[], None]) -> None:
    """The music goes on through ``siege``; a host busy with other things gets second chances."""
    for _ in range(4):
        before, notes = health(kitchen), health(kitchen)["notes"]
        siege()
        after = health(kitchen)
        eventually(lambda notes=notes: health(kitchen)["notes"] > notes)  # type: ignore[misc]
        assert after["restarts"] == before["restarts"]
        if (after["xruns"], after["late"]) == (before["xruns"], before["late"]):
            return
    raise AssertionError((before, after))


def connect(kitchen: House) -> socket.socket:
    return socket.create_connection(("127.0.0.1", kitchen.port), timeout=30)


def test_a_thousand_who_connect_and_say_nothing(kitchen: House) -> None:
    process = psutil.Process(kitchen.box.process.pid)
    memory = process.memory_info().rss

    def siege() -> None:
        with contextlib.ExitStack() as stack:
            idle = [stack.enter_context(connect(kitchen)) for _ in range(1000)]
            # All others are served as ever.
            for tempo in range(60, 90):
                assert kitchen.set(tempo=tempo)["tempo"] == tempo
            assert process.num_fds() < MAX_CONNECTIONS + 64
            assert process.memory_info().rss < memory + (16 << 20)
            assert idle

    unheard(kitchen, siege)


def test_many_who_say_it_slowly(kitchen: House) -> None:
    """Slow-loris: a request of many headers, a byte at a time, is not waited for."""

    def siege() -> None:
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connect(kitchen)) for _ in range(100)]
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
                assert kitchen.get("/api/now")
                time.sleep(0.5)

    unheard(kitchen, siege)


def test_many_who_send_a_body_slowly_or_take_the_answer_slowly(kitchen: House) -> None:
    def siege() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                body = stack.enter_context(connect(kitchen))
                body.sendall(
                    b"PATCH /api/settings HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    b"Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n{"
                )
                deaf = stack.enter_context(connect(kitchen))
                deaf.sendall(b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)
            for tempo in range(60, 70):
                assert kitchen.set(tempo=tempo)["tempo"] == tempo

    unheard(kitchen, siege)


def test_a_flood_of_live_pages_that_never_read(kitchen: House) -> None:
    """Each is let go once too much waits for it."""

    def siege() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                one = stack.enter_context(connect(kitchen))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                one.sendall(
                    b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\n"
                    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                )
            for number in range(100):
                kitchen.set(tempo=60 + number)

    unheard(kitchen, siege)


def test_eight_who_knock_as_fast_as_they_can(kitchen: House) -> None:
    seen: set[int] = set()

    def knock(until: float) -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                seen.add(kitchen.ask("GET", "/api/status").status)

    def siege() -> None:
        until = time.monotonic() + 4
        threads = [threading.Thread(target=knock, args=(until,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: kitchen.ask("GET", "/healthz").status == 200)
        # The bucket of this address is empty; it fills.
        eventually(lambda: kitchen.ask("GET", "/api/status").status == 200)
        time.sleep(1)

    unheard(kitchen, siege)
    assert seen <= {200, 429}


def test_wrong_passwords_are_slowed_down_and_cost_little(tmp_path: Path) -> None:
    from appliance.frontends.web.passwords import hash_of

    with house(tmp_path, f'password_hash = "{hash_of("a good password")}"') as one:
        process = psutil.Process(one.box.process.pid)
        memory = process.memory_info().rss
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda n: one.ask("POST", "/api/session", {"password": f"wrong {n}"}), range(8)
                )
            )
        statuses = [answer.status for answer in answers]
        # Five at once, of which four may wait for one another; the others hear when to come.
        assert statuses.count(429) >= 2
        assert set(statuses) <= {403, 429, 503}
        waits = [int(a.headers["Retry-After"]) for a in answers if a.status == 429]
        assert all(1 <= wait <= 13 for wait in waits)
        assert process.memory_info().rss < memory + (40 << 20)
        assert one.ask("GET", "/api/now").status == 200
        assert one.ask("PATCH", "/api/settings", {"tempo": 50}).status == 401
