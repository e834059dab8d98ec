"""Listeners see what plays: MP3 with ICY titles, chained Opus, Icecast and Liquidsoap; Safari."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.frontends.streaming.icy import INTERVAL_BYTES, metadata, with_titles
from appliance.frontends.streaming.mp3 import frame_bytes
from tests.frontends.streaming.test_streaming import PASSWORD, icecast
from tests.support.broker import free_port
from tests.support.programs import program
from tests.support.web_server import WebBox, eventually, playing_web_box


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebBox]:
    with playing_web_box(tmp_path_factory.mktemp("streams")) as one:
        yield one
        assert one.get("/api/status")["health"]["restarts"] == 0


def stream(box: WebBox, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", box.port, timeout=120)
    connection.request(
        "GET", path, headers={name.replace("_", "-"): v for name, v in headers.items()}
    )
    return connection.getresponse()


def decoded_bytes(folder: Path, kind: str, content: bytes) -> int:
    """How much sound a decoder makes of ``content``, as 16-bit stereo."""
    encoded, sound = folder / f"sound.{kind}", folder / "sound.wav"
    encoded.write_bytes(content)
    decoder = ["lame", "--quiet", "--decode"] if kind == "mp3" else ["opusdec", "--quiet"]
    subprocess.run([*decoder, encoded, sound], check=True)
    return sound.stat().st_size


def test_mp3_plays_and_has_the_titles_of_two_pieces(box: WebBox, tmp_path: Path) -> None:
    response = stream(box, "/stream.mp3", Icy_MetaData="1")
    assert response.headers["Content-Type"] == "audio/mpeg"
    assert int(response.headers["icy-metaint"]) == INTERVAL_BYTES
    assert response.headers["icy-name"]
    sound, titles, heard = b"", list[str](), list[str]()
    with contextlib.closing(response):
        while len(titles) < 2:
            sound += response.read(INTERVAL_BYTES)
            heard.append(box.get("/api/now")["title"])
            if units := response.read(1)[0]:
                text = response.read(16 * units).rstrip(b"\0").decode()
                found = re.fullmatch(r"StreamTitle='(.*)';", text)
                assert found is not None, text
                titles.append(found[1])
                if len(titles) == 1:
                    box.request_json("POST", "/api/actions/next_piece")
            assert len(sound) < 60 * INTERVAL_BYTES, titles
    assert set(titles) <= {*heard, box.get("/api/now")["title"]}
    # 160 kbit/s against 1536: nothing but sound was left when the titles were taken out.
    assert decoded_bytes(tmp_path, "mp3", sound) > 8 * len(sound)


def test_mp3_without_titles_is_nothing_but_sound(box: WebBox, tmp_path: Path) -> None:
    response = stream(box, "/stream.mp3")
    with contextlib.closing(response):
        assert "icy-metaint" not in response.headers
        content = response.read(60_000)
    assert b"StreamTitle" not in content
    assert decoded_bytes(tmp_path, "mp3", content) > 8 * len(content)


def test_whoever_joins_a_running_mp3_starts_with_a_whole_frame(box: WebBox) -> None:
    with contextlib.closing(stream(box, "/stream.mp3")) as running:
        for _ in range(5):
            running.read(5_000)
            with contextlib.closing(stream(box, "/stream.mp3")) as joined:
                content = joined.read(5_000)
            at = 0
            while at + 4 <= len(content):
                # Sync word, MPEG-1 layer 3, no CRC.
                assert content[at : at + 2] == b"\xff\xfb", at
                at += frame_bytes(content[at : at + 4])


def test_opus_is_a_chain_of_streams_each_with_its_title(box: WebBox, tmp_path: Path) -> None:
    response = stream(box, "/stream.opus")
    content, first = b"", box.get("/api/now")
    deadline = time.monotonic() + 120
    with contextlib.closing(response):
        while content.count(b"OpusHead") < 4:
            content += response.read(8192)
            if content.count(b"OpusTags") == box.get("/api/now")["piece"] - first["piece"] + 1:
                box.request_json("POST", "/api/actions/next_piece")
            assert time.monotonic() < deadline
    # Three whole streams; the one that was cut off is none.
    content = content[: content.rfind(b"OggS", 0, content.rfind(b"OpusHead"))]
    titles = re.findall(rb"TITLE=([^\x00-\x1f]+)", content, re.IGNORECASE)
    assert len(titles) >= 3
    assert titles[0].decode().startswith(first["title"][:8])
    file = tmp_path / "chain.opus"
    file.write_bytes(content)
    said = subprocess.run(["opusinfo", file], capture_output=True, text=True, check=False).stdout
    assert said.count("New logical stream") >= 3, said
    assert "corrupt" not in said.lower()
    assert decoded_bytes(tmp_path, "opus", content) > 5 * len(content)


@pytest.mark.parametrize("path", ["/stream.wav", "/stream.mp3", "/stream.opus"])
def test_safari_gets_the_two_bytes_that_it_asks_for_first(box: WebBox, path: str) -> None:
    response = stream(box, path, Range="bytes=0-1")
    content = response.read()
    assert (response.status, len(content)) == (206, 2)
    assert response.headers["Content-Range"] == "bytes 0-1/*"
    if path == "/stream.wav":
        assert content == b"RI"
    for endless in ("bytes=0-", "bytes=100-", "bytes=-5", "bytes=5-1", "bites"):
        response = stream(box, path, Range=endless)
        assert response.status == 200
        assert len(response.read(1000)) == 1000
        response.close()


def test_icecast_shows_the_title_of_the_piece_that_plays(tmp_path: Path) -> None:
    port = free_port()
    line = f'[stream]\nicecast = "http://source:{PASSWORD}@127.0.0.1:{port}/bachbox.mp3"'

    def title() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status-json.xsl") as answer:
            source = json.load(answer)["icestats"].get("source", {})
        return str(source.get("title", ""))

    with icecast(tmp_path, port), playing_web_box(tmp_path, more=line) as one:
        for _ in range(2):
            eventually(lambda: title() == one.get("/api/now")["title"] != "")
            one.request_json("POST", "/api/actions/next_piece")
        assert one.get("/api/status")["health"]["restarts"] == 0


def test_liquidsoap_takes_the_sound_at_the_mount_of_its_door(tmp_path: Path) -> None:
    port = free_port()
    heard = tmp_path / "heard.txt"
    script = tmp_path / "radio.liq"
    script.write_text(
        "settings.init.allow_root.set(true)\n"
        f'settings.harbor.bind_addrs.set(["127.0.0.1"])\n'
        f'live = input.harbor("/", port={port}, user="dj", password="pw#1")\n'
        f'def told(m) = file.write(data=m["title"] ^ "\\n", append=true, "{heard}") end\n'
        "live.on_metadata(told)\noutput.dummy(fallible=true, live)\n"
    )
    line = f'[stream]\nicecast = "http://dj:pw#1@127.0.0.1:{port}/"'
    with program(tmp_path, "liquidsoap", script), playing_web_box(tmp_path, more=line) as one:
        eventually(lambda: one.get("/api/now")["title"] in heard.read_text())
        assert one.get("/api/status")["health"]["restarts"] == 0


@given(st.text(max_size=300))
def test_any_title_becomes_metadata_of_its_length(title: str) -> None:
    content = metadata(title.encode(errors="ignore").decode())
    assert len(content) == 1 + 16 * content[0]
    assert content.count(b"'") in (0, 1, 2)


@given(st.lists(st.integers(1, 40_000), max_size=12))
def test_titles_stand_after_every_interval(sizes: list[int]) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for size in sizes:
            yield b"x" * size

    async def run() -> bytes:
        return b"".join([part async for part in with_titles(parts(), lambda: "Fugue")])

    content, sound, count = asyncio.run(run()), 0, 0
    at = 0
    while at + INTERVAL_BYTES < len(content):
        assert content[at : at + INTERVAL_BYTES] == b"x" * INTERVAL_BYTES
        at += INTERVAL_BYTES
        assert content[at] == (0 if count else len(metadata("Fugue")) // 16)
        at += 1 + 16 * content[at]
        sound, count = sound + INTERVAL_BYTES, count + 1
    assert sound + len(content) - at == sum(sizes)
