"""Many listeners at once: cheap, and slow or dead ones do not affect the others."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import aiohttp
import psutil
import pytest

from tests.support.web_server import WebBox, web_box

LISTENERS = 20

SECONDS = 5.0

STREAMS = ("/stream.wav", "/stream.opus", "/api/listen")

MAX_OF_A_CORE = 0.15


def _cpu_s(one: WebBox) -> float:
    """Processor time of the daemon and its encoder."""
    daemon = psutil.Process(one.process.process.pid)
    found = [daemon, *(c for c in daemon.children() if c.name().startswith("opusenc"))]
    return sum(process.cpu_times().user + process.cpu_times().system for process in found)


async def _cpu_share(one: WebBox) -> float:
    loop = asyncio.get_running_loop()
    started, used = loop.time(), _cpu_s(one)
    await asyncio.sleep(SECONDS)
    return (_cpu_s(one) - used) / (loop.time() - started)


async def _by_socket(session: aiohttp.ClientSession, one: WebBox, gaps: list[int]) -> None:
    """Append whether there is a gap before each chunk."""
    async with session.ws_connect(f"{one.url}/api/listen", max_msg_size=1 << 20) as stream:
        assert (await stream.receive_json())["sample_rate"] == 48_000
        before = None
        async for message in stream:
            start, end = struct.unpack_from("<dd", message.data)
            gaps.append(before is not None and abs(start - before) > 1e-6)
            before = end


async def _by_http(session: aiohttp.ClientSession, one: WebBox, kind: str, got: list[int]) -> None:
    async with session.get(f"{one.url}/stream.{kind}") as answer:
        assert answer.status == 200
        while part := await answer.content.readany():
            got.append(len(part))


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


def test_twenty_listeners_and_dead_ones(box: WebBox, capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> tuple[float, float, list[list[int]], list[list[int]]]:
        alone = await _cpu_share(box)
        gaps: list[list[int]] = [[] for _ in range(LISTENERS // 2)]
        got: list[list[int]] = [[] for _ in range(LISTENERS - len(gaps))]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            tasks = [asyncio.create_task(_by_socket(session, box, one)) for one in gaps]
            tasks += [
                asyncio.create_task(_by_http(session, box, "opus" if at < 3 else "wav", one))
                for at, one in enumerate(got)
            ]
            await asyncio.sleep(3.0)
            full = await _cpu_share(box)
            dead = [_stalled(box, p) for p in ("/stream.wav", "/stream.opus", "/api/listen") * 2]
            await asyncio.sleep(SECONDS)
            assert not [task for task in tasks if task.done()], "no listener was disconnected"
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in dead:
                one.close()
        return alone, full, gaps, got

    before = box.get("/api/status")["health"]
    alone, full, gaps, got = asyncio.run(run())
    after = box.get("/api/status")["health"]
    with capsys.disabled():
        print(f"\nof a core: {alone:.3f} alone, {full:.3f} with {LISTENERS} listeners")
    assert full - alone <= MAX_OF_A_CORE
    assert all(len(one) > 100 for one in gaps)
    assert not any(map(any, gaps)), "some listeners missed a part"
    opus, wav = got[:3], got[3:]
    assert all(sum(one) > 40_000 for one in opus)
    assert all(sum(one) > 8 * 192_000 for one in wav)
    assert after["restarts"] == before["restarts"]
    assert after["late_notes"] == before["late_notes"]


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

    with contextlib.ExitStack() as stack:
        heads = []
        for _ in range(66):
            one = stack.enter_context(contextlib.closing(connect()))
            heads.append(one.recv(15))
    assert heads[:64] == [b"HTTP/1.1 200 OK"] * 64
    assert heads[64:] == [b"HTTP/1.1 503 Se"] * 2
    assert box.request("HEAD", "/stream.wav").status == 200
