"""What is sent to streaming servers, and what keeps a stream from starting; the music plays."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest

from appliance.cli import play
from appliance.config import loader
from appliance.config.addresses import parse_icecast
from appliance.errors import BachboxError
from appliance.frontends.box_events import BoxEvents
from appliance.frontends.library import Library
from appliance.frontends.streaming import icecast
from appliance.frontends.streaming.icecast import IcecastSource
from appliance.frontends.streaming.opus import OpusBroadcast
from appliance.frontends.streaming.snapcast import SnapcastPipe, in_private_tmp
from tests.support.broker import free_port

MOUNTINFO = """\
23 28 0:21 / /sys rw,nosuid - sysfs sysfs rw
28 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
40 28 8:2 /tmp/systemd-private-0f-bachbox.service-x1/tmp /tmp rw shared:9 - ext4 /dev/sda2 rw
41 28 0:3 /systemd-private-0f-bachbox.service-x2/tmp /var/tmp rw shared:9 - tmpfs tmpfs rw
42 28 0:24 / /run rw,nosuid - tmpfs tmpfs rw
"""


def first_request(url: str, host: str) -> str:
    """Return the head of the request that a server at ``host`` gets."""

    async def ask() -> str:
        heads: asyncio.Queue[bytes] = asyncio.Queue()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.put_nowait(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, host, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            source = IcecastSource(parse_icecast(url.replace("PORT", str(port))), OpusBroadcast())
            with pytest.raises(BachboxError, match="does not accept the password") as error:
                await source.run(cast(Any, None), cast(Any, None))
            assert "hunter2" not in str(error.value)
            return (await heads.get()).decode().replace(str(port), "PORT")

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("url", "host", "mount", "login"),
    [
        ("http://dj:hunter2#@127.0.0.1:PORT/", "127.0.0.1", "/", "dj:hunter2#"),
        ("http://source:hunter2@[::1]:PORT/b.ogg", "[::1]", "/b.ogg", "source:hunter2"),
        ("http://süß:hünter2 @127.0.0.1:PORT/ü/b", "127.0.0.1", "/%C3%BC/b", "süß:hünter2 "),
    ],
)
def test_the_request_to_icecast(url: str, host: str, mount: str, login: str) -> None:
    lines = first_request(url, host.strip("[]")).split("\r\n")
    assert lines[0] == f"PUT {mount} HTTP/1.1"
    assert f"Host: {host}:PORT" in lines
    assert f"Authorization: Basic {base64.b64encode(login.encode()).decode()}" in lines


class Tone:
    """An encoder whose sound never ends."""

    media_type = "audio/ogg"

    async def listen(self, _box: Any) -> AsyncIterator[bytes]:
        yield b"sound"
        await asyncio.Event().wait()


def test_a_refused_source_tries_again_and_says_each_reason_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a gap in the network, a server takes the box for another source for a while."""
    monkeypatch.setattr(icecast, "RETRY_FIRST_S", 0.01)
    in_use = b"403 Mountpoint in use"
    answers = iter([in_use, in_use, b"404 File Not Found", b"500 Oops", b"100 Continue"])

    async def sent() -> bytes:
        heard: asyncio.Queue[bytes] = asyncio.Queue()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %s\r\n\r\n" % next(answers))
            if sound := await reader.read(5):
                heard.put_nowait(sound)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            address = parse_icecast(f"http://source:hunter2@127.0.0.1:{port}/b.ogg")
            source = IcecastSource(address, cast(Any, Tone()))
            task = asyncio.create_task(source.run(cast(Any, None), cast(Any, None)))
            sound = await heard.get()
            task.cancel()
            return sound

    assert asyncio.run(sent()) == b"sound"
    told = [one for one in caplog.messages if "trying again" in one]
    assert ["HTTP/1.1 403" in one for one in told] == [True, False, False], told
    assert "another source may be using the mount" in told[0]
    assert "it does not know this mount" in told[1]
    assert "it refuses" in told[2]


def test_a_private_tmp_is_recognised() -> None:
    for path, is_private in (
        ("/tmp/snapfifo", True),
        ("/tmp/a/b", True),
        ("/var/tmp/snapfifo", True),
        ("/run/../tmp/snapfifo", True),
        ("/run/snapfifo", False),
        ("/tmpfiles/snapfifo", False),
    ):
        assert in_private_tmp(Path(path), MOUNTINFO) == is_private, path
    shared = MOUNTINFO.replace("systemd-private", "other")
    assert not in_private_tmp(Path("/tmp/snapfifo"), shared)


def test_a_pipe_in_a_private_tmp_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.frontends.streaming.snapcast.in_private_tmp", lambda *_: True)
    pipe = tmp_path / "snapfifo"
    with pytest.raises(BachboxError, match=r"a /tmp and a /var/tmp of its own.*/run/snapfifo"):
        asyncio.run(SnapcastPipe(pipe).run(cast(Any, None), cast(Any, None)))
    assert not pipe.exists()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(ValueError("odd"), "the music plays without it"), (BachboxError("no such"), "no such")],
)
def test_a_frontend_that_cannot_be_built_does_not_stop_the_music(
    error: Exception,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(icecast, "IcecastSource", fail)
    monkeypatch.setattr("appliance.frontends.web.media.Media", fail)
    monkeypatch.setattr("appliance.frontends.streaming.snapcast.SnapcastPipe", fail)
    monkeypatch.setattr("appliance.frontends.gpio.gpio_frontend.GpioFrontend", fail)
    text = f"""
        mqtt.host = "h"
        web.port = {free_port()}
        gpio.leds = [{{ pin = 1, shows = "beat" }}]
        [stream]
        icecast = "http://source:hunter2@h:8000/b"
        snapcast = "/run/snapfifo"
    """
    config = loader.parse(text, Path("/etc/bachbox.toml"))
    library = Mock(Library, history=Mock(), events=BoxEvents())
    with caplog.at_level(logging.ERROR):
        made = play._frontends(config, lambda: Path("x.sf2"), dict, library)
        names = [frontend.name for frontend in made]
    assert "mqtt" in names
    assert not {"icecast", "snapcast", "web", "gpio"} & set(names)
    assert len([record for record in caplog.records if sentence in record.getMessage()]) == 4
    assert "hunter2" not in caplog.text
