"""`bachbox doctor` names keys that are allowed and cannot work on this machine."""

from __future__ import annotations

import os
import socket
import sys
import threading
import types
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from appliance.audio import soundfont, synth
from appliance.audio.alsa_cards import HardwareCard
from appliance.audio.outputs import sound_card
from appliance.audio.outputs.sound_card import Card
from appliance.config import loader
from appliance.config.schema import Mqtt
from appliance.errors import BachboxError
from appliance.frontends.gpio import overlays
from appliance.frontends.mqtt import broker_check
from appliance.offline import config_checks, doctor_checks, page_checks
from appliance.offline.findings import CheckStatus, Finding
from appliance.offline.midi_checks import check_midi
from tests.support import sine_font


def config(text: str) -> loader.Config:
    return loader.parse(text, Path("/etc/bachbox/bachbox.toml"))


def files(text: str, *, is_service: bool = True) -> dict[str, Finding]:
    """What is found about files, by key."""
    found = config_checks.check_files(config(text), is_service=is_service)
    return {finding.detail.partition(":")[0]: finding for finding in found}


def test_files_that_the_service_does_not_see_are_named() -> None:
    text = """
        [music]
        models_folder = "/home/pi/models"
        model = "/root/mine.tflite"
        [sound]
        soundfont = "/home/pi/fonts/organ.sf2"
        [mqtt]
        host = "broker"
        username = "anna"
        password_file = "/tmp/password"
        """
    found = files(text)
    assert {finding.status for finding in found.values()} == {CheckStatus.FAILED}
    assert "/home/pi/fonts/organ.sf2, since home folders" in found["[sound] soundfont"].detail
    assert "a /tmp and a /var/tmp of its own" in found["[mqtt] password_file"].detail
    assert {"[music] models_folder", "[music] model"} < set(found)
    assert list(files(text, is_service=False)) == ["[music] models_folder"]


def test_a_folder_of_models_that_is_not_there_is_named() -> None:
    [found] = files('[music]\nmodels_folder = "modles"').values()
    assert found.status is CheckStatus.FAILED
    assert "there is no /etc/bachbox/modles" in found.detail
    assert found.remedy.startswith("mkdir -p /etc/bachbox/modles")
    assert not files('[music]\nmodel = "chorales"\n[sound]\nsoundfont = "default"')


def test_the_rights_of_a_password_file_are_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.touch(mode=0o644)
    text = f'[mqtt]\nhost = "h"\nusername = "anna"\npassword_file = "{password}"'
    [found] = files(text, is_service=False).values()
    assert (found.status, found.remedy) == (CheckStatus.OFF, f"chmod o-r {password}")
    password.chmod(0o600)
    assert not files(text, is_service=False)
    monkeypatch.setattr(config_checks, "_HOME_FOLDERS", ())
    monkeypatch.setattr(config_checks, "PRIVATE_FOLDERS", ())
    nobody = SimpleNamespace(pw_uid=os.getuid() + 1, pw_gid=os.getgid() + 1)
    monkeypatch.setattr("pwd.getpwnam", lambda _name: nobody)
    [found] = files(text).values()
    assert found.status is CheckStatus.FAILED
    assert f"user bachbox may not read {password}" in found.detail
    assert "chgrp bachbox" in found.remedy


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "readable"),
    [
        (0o600, 7, 8, True),
        (0o600, 9, 8, False),
        (0o640, 9, 8, True),
        (0o640, 9, 9, False),
        (0o604, 9, 9, True),
        (0o604, 9, 8, False),
    ],
)
def test_the_first_class_of_permissions_that_fits_counts(
    mode: int, uid: int, gid: int, readable: bool
) -> None:
    status = os.stat_result((mode, 0, 0, 1, 7, 8, 0, 0, 0, 0))
    assert config_checks._may_read(status, uid, {gid}) is readable


@pytest.mark.parametrize("is_service", [False, True])
def test_the_output_that_was_set_last_is_the_one_that_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_service: bool
) -> None:
    monkeypatch.setattr(config_checks, "SERVICE_STATE", tmp_path / "service")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "user"))
    parsed = config('[sound]\noutput = "Headphones"')
    assert config_checks.stored_output(parsed, is_service=is_service) == (parsed, None)
    folder = tmp_path / ("service" if is_service else "user/bachbox")
    folder.mkdir(parents=True)
    (folder / "settings.json").write_text('{"output": "null"}')
    findings = doctor_checks.examine(parsed, loader.SYSTEM_FILE if is_service else None)
    said = next(f.detail for f in findings if f.check == "output")
    assert said == "null, as it was set last; the config says Headphones"
    checked, _ = config_checks.stored_output(parsed, is_service=is_service)
    assert checked.sound.output == "null"
    assert next(f.detail for f in findings if f.check == "sound card").endswith("is null")
    (folder / "settings.json").write_text("damaged")
    checked, finding = config_checks.stored_output(parsed, is_service=is_service)
    assert checked == parsed
    assert finding
    assert "not a settings file, so the output of the config is checked" in finding.detail


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[mqtt]\nhost = "h"\npassword_file = "p"', "password_file has no effect without username"),
        ('[midi]\nknobs = { 7 = "volume" }', "knobs has no effect without in_ports"),
        ('[midi]\nbuttons = { 64 = "playing" }', "buttons has no effect without in_ports"),
        ("[midi]\nclock = true", "clock has no effect without out_port"),
        ("[sound]\nvolume = 0", "volume is 0, so the box starts silent"),
        ("[sound]\nmax_startup_volume = 0", "max_startup_volume is 0, so the box starts silent"),
    ],
)
def test_keys_without_an_effect_are_named(text: str, said: str) -> None:
    [found] = config_checks.check_effects(config(text))
    assert said in found.detail
    assert found.remedy
    assert not list(config_checks.check_effects(loader.Config()))


def page(text: str, *, is_service: bool = False) -> list[Finding]:
    return list(page_checks.check_page(config(f"[web]\n{text}"), is_service=is_service))


def test_a_port_that_another_program_has_is_named() -> None:
    with socket.socket() as holder:
        # Bound and not listening: it is taken, and nobody answers.
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        [found] = page(f"port = {port}")
        assert found.status is CheckStatus.FAILED
        assert f"cannot listen on 127.0.0.1, port {port} (Address already in use" in found.detail
        assert "another [web] port" in found.detail


def test_a_free_port_is_right() -> None:
    # A port that is certainly free until then has no number yet.
    [found] = page('port = "auto"')
    assert found.status is CheckStatus.OK
    assert found.detail.endswith("is free")


class _Bachbox(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def version_string(self) -> str:
        return "Bachbox"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def box() -> Iterator[int]:
    """The port of a program that answers as a Bachbox."""
    with HTTPServer(("127.0.0.1", 0), _Bachbox) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_port_that_the_box_itself_has_is_right(box: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_checks, "_TIMEOUT_S", 60.0)
    assert page(f"port = {box}")[0].detail == f"served at 127.0.0.1:{box}"


def test_an_address_of_another_machine_is_named() -> None:
    [found] = page('host = "192.0.2.1"')
    assert found.status is CheckStatus.FAILED
    assert "cannot listen on 192.0.2.1" in found.detail
    assert page("port = 0")[0].status is CheckStatus.OFF


def test_the_service_may_not_have_a_low_port(monkeypatch: pytest.MonkeyPatch) -> None:
    class Listener:
        def getsockname(self) -> tuple[str, int]:
            return "127.0.0.1", 80

        def close(self) -> None:
            pass

    # Whether a test may have it depends on who runs it.
    listen = "appliance.frontends.web.listening_sockets.listen"
    monkeypatch.setattr(listen, lambda _web: [Listener()])
    assert page("port = 80")[0].status is CheckStatus.OK
    [found] = page("port = 80", is_service=True)
    assert found.status is CheckStatus.FAILED
    assert "the service may not use port 80" in found.detail


def test_a_proxy_that_is_everybody_and_a_nonsense_hash_are_named() -> None:
    _, found = page('trusted_proxies = ["10.0.0.0/8", "0.0.0.0/0"]')
    assert found.status is CheckStatus.FAILED
    assert "0.0.0.0/0 is everybody" in found.detail
    with pytest.raises(BachboxError, match="run `bachbox hash-password`"):
        page('password_hash = "$scrypt$nonsense"')


@pytest.mark.parametrize(
    ("card_id", "channels", "said"),
    [
        ("vc4hdmi0", 2, "vc4hdmi0 is HDMI, and no screen is connected, so nobody hears it"),
        ("Puck", 1, "Puck, 48000 Hz, one channel"),
    ],
)
def test_silent_cards_and_those_of_one_channel_are_named(
    monkeypatch: pytest.MonkeyPatch, card_id: str, channels: int, said: str
) -> None:
    hardware = HardwareCard(0, card_id, 0)
    card = Card(f"{card_id} (hw:0,0)", 0, 48_000, True, channels, hardware)
    output = SimpleNamespace(
        card=card, name=card.label, sample_rate=48_000, problem="", close=lambda: None
    )
    monkeypatch.setattr(doctor_checks, "run_in_fork", lambda _function: "")
    monkeypatch.setattr(doctor_checks, "is_hdmi_without_screen", lambda c: "hdmi" in c.id)
    monkeypatch.setattr(sound_card, "list_cards", lambda: [card])
    monkeypatch.setattr(sound_card, "open_card", lambda _name, _frames: output)
    found = next(doctor_checks._check_sound_card(config(f'[sound]\noutput = "{card_id}"')))
    assert found.detail == said
    assert (found.status is CheckStatus.FAILED) is ("HDMI" in said)


def test_a_file_in_no_folder_is_named(tmp_path: Path) -> None:
    assert doctor_checks._check_file_output(f"wav:{tmp_path}/a.wav").status is CheckStatus.OFF
    assert doctor_checks._check_file_output("null").status is CheckStatus.OFF
    found = doctor_checks._check_file_output(f"wav:{tmp_path}/none/a.wav")
    assert found.status is CheckStatus.FAILED
    assert "there is no folder" in found.detail


def test_a_large_soundfont_and_one_of_one_preset_are_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_checks, "try_soundfont", lambda _path: None)
    font = sine_font.write(tmp_path / "one.sf2", 8, 6)
    parsed = config(f'[sound]\nsoundfont = "{font}"')
    [found] = doctor_checks._check_soundfont(parsed)
    assert found.status is CheckStatus.OK
    assert found.detail.endswith("0 of 128 instruments; its presets are 8:6 Sine")
    monkeypatch.setattr(soundfont, "free_memory_bytes", lambda: 1)
    [found] = doctor_checks._check_soundfont(parsed)
    assert "too large for the free memory" in found.detail


def test_the_wrong_package_fluidsynth_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_checks, "try_soundfont", lambda _path: None)
    font = sine_font.write(tmp_path / "one.sf2")
    synth._library.cache_clear()
    monkeypatch.setitem(sys.modules, "fluidsynth", types.ModuleType("fluidsynth"))
    with pytest.raises(BachboxError, match="pip uninstall fluidsynth"):
        list(doctor_checks._check_soundfont(config(f'[sound]\nsoundfont = "{font}"')))
    synth._library.cache_clear()


def test_the_services_password_is_the_one_of_its_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_checks, "SERVICE_PASSWORD", tmp_path / "mqtt-password")

    def tell(mqtt: Mqtt) -> str:
        return loader.password(mqtt)

    monkeypatch.setattr(broker_check, "check_broker", tell)
    parsed = config('[mqtt]\nhost = "h"\nusername = "anna"')

    def password(*, is_service: bool) -> str:
        [found] = doctor_checks._check_broker(parsed, is_service=is_service)
        return found.detail

    assert password(is_service=True) == ""
    (tmp_path / "mqtt-password").write_text("hunter2\n")
    assert password(is_service=True) == "hunter2"
    assert password(is_service=False) == ""


def test_a_part_on_the_pins_of_the_display_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlays, "pins_in_use", dict)
    text = '[gpio]\nleds = [{ pin = 2, shows = "beat" }]\n'
    for display, count in (('[display]\ndriver = "ssd1306"', 1), ("", 0)):
        found = [
            f for f in doctor_checks._check_pins(config(text + display)) if f.check == "wiring"
        ]
        assert len(found) == count
        assert all("pin 2 belongs to the display on I2C" in f.detail for f in found)


def test_a_midi_device_that_is_not_there_is_named() -> None:
    [found] = check_midi(config('[midi]\nout_port = "/dev/nothing"'))
    assert (found.status, found.detail) == (CheckStatus.FAILED, "there is no /dev/nothing")


def test_a_bug_in_a_check_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_config: loader.Config) -> Iterator[Finding]:
        raise AttributeError("module 'fluidsynth' has no attribute 'cfunc'")

    def nothing(_config: loader.Config, **_: object) -> Iterator[Finding]:
        return iter(())

    for name in vars(doctor_checks).copy():
        if name.startswith("_check_") and name != "_check_file_output":
            monkeypatch.setattr(doctor_checks, name, nothing)
    monkeypatch.setattr(doctor_checks, "_check_soundfont", fail)
    found = {f.check: f for f in doctor_checks.examine(config("[web]\nport = 0"), None)}
    assert found["soundfont"].detail.startswith("a bug in Bachbox (AttributeError")
    assert found["page"].status is CheckStatus.OFF
