"""`bachbox doctor` finds what is misconfigured before the user does: cards, streams, pins."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.audio.alsa_cards import HardwareCard
from appliance.audio.outputs import DeviceLost, sound_card
from appliance.audio.outputs.sound_card import Card
from appliance.config import loader
from appliance.config.schema import Display
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
def test_a_server_that_does_not_answer_is_named_without_its_password(check: str) -> None:
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
