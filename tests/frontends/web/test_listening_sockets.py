"""The page's port: the one in the config, or 8080, or the next one that is free."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from appliance.config.schema import Web
from appliance.errors import BachboxError
from appliance.frontends.web import listening_sockets
from tests.support.broker import free_port
from tests.support.command import BACHBOX, Playing, home, playing


@contextlib.contextmanager
def listening(config: Web) -> Iterator[int]:
    found = listening_sockets.listen(config)
    try:
        yield found[0].getsockname()[1]
    finally:
        for one in found:
            one.close()


def test_auto_takes_the_next_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        monkeypatch.setattr(listening_sockets, "FIRST_PORT", first)
        monkeypatch.setattr(listening_sockets, "LAST_PORT", first + 50)
        with listening(Web()) as second, listening(Web()) as third:
            assert first < second < third


def test_a_port_that_is_asked_for_is_taken_or_refused_with_a_sentence() -> None:
    port = free_port()
    with listening(Web(port=port)) as found:
        assert found == port
        with pytest.raises(BachboxError, match=f"port {port} .*choose another"):
            listening_sockets.listen(Web(port=port))


def test_an_address_that_this_machine_lacks_is_refused_at_once() -> None:
    with pytest.raises(BachboxError, match=r"cannot listen on 192\.0\.2\.1"):
        listening_sockets.listen(Web(host="192.0.2.1"))


def test_a_terminal_shows_the_address_and_a_qr_code_for_the_phone(tmp_path: Path) -> None:
    config = tmp_path / "bachbox.toml"
    config.write_text(f'[sound]\noutput = "null"\n[web]\nhost = ""\nport = {free_port()}\n')
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BACHBOX, "play", "--config", str(config)],
        env=home(tmp_path) | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown, asked_to_end = b"", False
    # The terminal gives an error once nobody has it open any more.
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65536):
            shown += data
            is_complete = b"the page is at http://" in shown and "▀▀▀▀▀▀▀".encode() in shown
            if is_complete and not asked_to_end:
                asked_to_end = True
                process.send_signal(signal.SIGTERM)
    os.close(ours)
    assert process.wait(60) == 0
    text = shown.decode()
    assert f".local:{config.read_text().split('port = ')[1].strip()}/" in text
    assert "█" in text


def test_the_server_takes_no_memory_until_somebody_opens_the_page(tmp_path: Path) -> None:
    config = tmp_path / "bachbox.toml"
    config.write_text('[sound]\noutput = "null"\n')

    def has_server(box: Playing) -> bool:
        mapped = psutil.Process(box.process.pid).memory_maps()
        return any("aiohttp" in one.path for one in mapped)

    with playing("--config", config, env=home(tmp_path)) as box:
        address = re.search("http://localhost:[0-9]+/", box.wait_for("the page is at"))
        assert address
        box.wait_for("piece 1")
        assert not has_server(box)
        with urllib.request.urlopen(address[0] + "healthz", timeout=120) as answer:
            assert answer.status == 200
        assert has_server(box)
        assert box.end() == 0
