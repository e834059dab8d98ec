"""Many listeners at once: cheap, and slow or dead ones do not affect the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest

from tests.support.listeners import listening
from tests.support.web_server import TIMEOUT_S, WebBox, eventually, web_box

LISTENERS = 20

MORE = (30, 10_000, 300_000)
"""Chunks of a WebSocket, bytes of Opus and of WAV: seconds of sound."""


def _stalled(one: WebBox, path: str) -> socket.socket:
    """Send a request and never read the answer."""
    dead = socket.socket()
    dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    dead.connect(("127.0.0.1", one.port))
    dead.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{one.port}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    return dead


def test_twenty_listeners_and_dead_ones(box: WebBox) -> None:
    """What they cost, and whether any of them misses a part: `make bench` measures it."""

    async def run() -> list[float]:
        async with listening(box.url, LISTENERS) as heard:
            chunks, opus, wav = MORE
            more = [chunks] * len(heard.sockets) + [opus] * len(heard.opus) + [wav] * len(heard.wav)

            async def all_get_more() -> None:
                before = heard.amounts()
                await until(
                    lambda: all(
                        now >= was + step
                        for now, was, step in zip(heard.amounts(), before, more, strict=True)
                    )
                )

            await all_get_more()
            with contextlib.ExitStack() as stack:
                for path in ("/stream.wav", "/stream.opus", "/api/listen") * 2:
                    stack.enter_context(contextlib.closing(_stalled(box, path)))
                for _ in range(2):
                    await all_get_more()
            return heard.steps()

    before = box.get("/api/status")["health"]
    steps = asyncio.run(run())
    assert min(steps) > -1e-6, "some listeners heard a part twice"
    assert sorted(steps)[len(steps) // 2] < 1e-6, "a part is missing only now and then"
    assert box.get("/api/status")["health"]["restarts"] == before["restarts"]


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + TIMEOUT_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


def test_listening_needs_read_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    with web_box(tmp_path_factory.mktemp("closed"), 'anonymous_access = "off"') as one:
        for path in (
            "/stream.wav",
            "/stream.opus",
            "/api/listen",
            "/api/pieces",
            "/api/pieces/1.mid",
        ):
            assert one.request("GET", path).status == 401, path


def test_listener_limit(box: WebBox) -> None:
    def connect() -> socket.socket:
        one = socket.create_connection(("127.0.0.1", box.port), timeout=120)
        one.sendall(f"GET /stream.wav HTTP/1.1\r\nHost: 127.0.0.1:{box.port}\r\n\r\n".encode())
        return one

    def are_64_served() -> bool:
        with contextlib.ExitStack() as stack:
            heads = []
            for _ in range(66):
                one = stack.enter_context(contextlib.closing(connect()))
                heads.append(one.recv(15))
        served = heads.count(b"HTTP/1.1 200 OK")
        assert served <= 64
        assert heads[served:] == [b"HTTP/1.1 503 Se"] * (66 - served)
        return served == 64

    # Those of the test before may still count.
    eventually(are_64_served)
    assert box.request("HEAD", "/stream.wav").status == 200
