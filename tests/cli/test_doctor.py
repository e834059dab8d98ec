"""`bachbox doctor` finds what is misconfigured before the user does: cards, streams, pins."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audio.alsa_cards import HardwareCard
from appliance.audio.outputs import DeviceLost, sound_card
from appliance.audio.outputs.sound_card import Card
from appliance.config import loader
from appliance.config.schema import Display
from appliance.frontends import local_socket
from appliance.frontends.gpio import overlays
from appliance.offline import doctor_checks, stream_checks
from appliance.offline.findings import CheckStatus, Finding

CARDS = [Card("bcm2835 (hw:0,0)", 0, 48_000, True, 2, HardwareCard(0, "Headphones", 0))]


def config(text: str) -> loader.Config:
    return loader.parse(text, Path("/etc/bachbox/bachbox.toml"))


def the_only(findings: Iterator[Finding]) -> Finding:
    [finding] = findings
    return finding


def snapcast(pipe: Path, *, is_service: bool = False) -> Finding:
    parsed = config(f'[stream]\nsnapcast = "{pipe}"')
    return the_only(stream_checks.check_snapcast(parsed, is_service=is_service))


def test_a_pipe_in_the_services_own_tmp_is_refused_with_the_reason() -> None:
    found = snapcast(Path("/tmp/snapfifo"), is_service=True)
    assert found.status is CheckStatus.FAILED
    assert "of its own, so snapserver does not see this pipe" in found.detail
    assert "/run/snapfifo" in found.remedy


def test_a_pipe_is_found_and_anything_else_is_not_one(tmp_path: Path) -> None:
    assert snapcast(tmp_path / "fifo").detail.endswith("will be created")
    os.mkfifo(tmp_path / "fifo")
    assert snapcast(tmp_path / "fifo").status is CheckStatus.OK
    (tmp_path / "file").touch()
    assert "not a pipe" in snapcast(tmp_path / "file").detail
    assert "cannot be created" in snapcast(tmp_path / "none" / "fifo").detail


@pytest.mark.parametrize("check", ["snapcast", "icecast"])
def test_a_server_that_does_not_answer_is_named_without_its_password(
    check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "is_box_running", lambda: True)
    monkeypatch.setattr("shutil.which", str)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        addresses = {
            "snapcast": f"tcp://127.0.0.1:{port}",
            "icecast": f"http://source:hunter2@127.0.0.1:{port}/b.ogg",
        }
        parsed = config(f'[stream]\n{check} = "{addresses[check]}"')

        def examine() -> Finding:
            if check == "icecast":
                return the_only(stream_checks.check_icecast(parsed))
            return the_only(stream_checks.check_snapcast(parsed, is_service=True))

        assert examine().status is CheckStatus.OK
    found = examine()
    assert found.status is CheckStatus.FAILED
    assert f"127.0.0.1:{port}: connection refused" in found.detail
    assert "hunter2" not in found.detail + found.remedy


@contextlib.contextmanager
def icecast(answer: str) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers one source; yields its port, and the request that it gets."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            # The first connection says nothing: it only tries whether the server answers.
            for _ in range(2):
                connection, _address = server.accept()
                with connection:
                    if request := connection.recv(4096):
                        asked.append(request)
                        connection.sendall(f"HTTP/1.1 {answer}\r\n\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], asked
        thread.join()


@pytest.mark.parametrize(
    ("mount", "answer", "said"),
    [
        ("b.ogg", "100 Continue", "/b.ogg takes the sound"),
        ("b.mp3", "200 OK", "/b.mp3 takes the sound"),
        ("b.ogg", "401 Unauthorized", "/b.ogg: it does not accept the password"),
        ("b.ogg", "403 Mount in use", "/b.ogg: it refuses: another source may be using"),
        ("b.ogg", "404 Not found", "/b.ogg: it does not know this mount"),
        ("b.ogg", "503 Busy", "/b.ogg: it refuses (HTTP/1.1 503 Busy)"),
    ],
)
def test_an_icecast_that_refuses_the_source_is_named_with_the_reason(
    mount: str, answer: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_socket, "is_box_running", lambda: False)
    monkeypatch.setattr("shutil.which", str)
    with icecast(answer) as (port, asked):
        address = f"http://source:hunter2@127.0.0.1:{port}/{mount}"
        found = the_only(stream_checks.check_icecast(config(f'[stream]\nicecast = "{address}"')))
    assert said in found.detail
    assert found.status is (CheckStatus.OK if "takes" in said else CheckStatus.FAILED)
    assert "hunter2" not in found.detail + found.remedy
    media_type = b"audio/mpeg" if mount == "b.mp3" else b"audio/ogg"
    assert asked[0].startswith(f"PUT /{mount} HTTP/1.1\r\n".encode())
    assert b"Content-Type: " + media_type in asked[0]


@pytest.mark.parametrize(
    ("mount", "program", "package"), [("b.mp3", "lame", "lame"), ("b", "opusenc", "opus-tools")]
)
def test_an_encoder_that_icecast_needs_and_that_is_missing_is_named(
    mount: str, program: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == program else name)
    monkeypatch.setattr(
        stream_checks, "_check_server", lambda *_: Finding("icecast", CheckStatus.FAILED, "off")
    )
    parsed = config(f'[stream]\nicecast = "http://h:8000/{mount}"')
    found, _server = stream_checks.check_icecast(parsed)
    assert found.status is CheckStatus.FAILED
    assert found.detail == f"the program {program} is missing"
    assert found.remedy == f"sudo apt install {package}"


def test_a_card_that_cannot_be_opened_is_named_with_the_reason_and_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_name: str, _frames: int) -> None:
        raise DeviceLost("the sound card 'Headphones' cannot be opened: mpd (process 812) uses it")

    monkeypatch.setattr(doctor_checks, "run_in_fork", lambda _function: "")
    monkeypatch.setattr(sound_card, "list_cards", lambda: CARDS)
    monkeypatch.setattr(sound_card, "open_card", refuse)
    with pytest.raises(DeviceLost, match="mpd"):
        list(doctor_checks._check_sound_card(config('[sound]\noutput = "Headphones"')))


def test_pins_of_a_sound_card_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        overlays, "pins_in_use", lambda: {20: "the sound card on I2S (dtoverlay=i2s-dac)"}
    )
    parsed = config('[gpio]\nleds = [{ pin = 20, shows = "beat" }]')
    found = {finding.check: finding for finding in doctor_checks._check_pins(parsed)}
    assert found["wiring"].status is CheckStatus.FAILED
    assert "pin 20 belongs to the sound card on I2S" in found["wiring"].detail


def test_a_display_without_a_bus_has_a_remedy() -> None:
    (found,) = doctor_checks._check_display(loader.Config(display=Display("sh1106", i2c_port=63)))
    assert found.status is CheckStatus.FAILED
    assert found.detail == "sh1106 at 0x3c of /dev/i2c-63"
    assert "raspi-config" in found.remedy
    assert not list(doctor_checks._check_display(loader.Config()))
