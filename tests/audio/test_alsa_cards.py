"""The kernel's cards, ALSA's spellings of them, and the reasons for which one is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from appliance.audio import alsa_cards
from appliance.audio.alsa_cards import (
    HardwareCard,
    explanation,
    find,
    find_by_alsa_name,
    hardware_cards,
    is_hdmi_without_screen,
    open_error,
    reason,
)

HEADPHONES = HardwareCard(0, "Headphones", 0)
USB = HardwareCard(1, "Device", 0)
USB_2 = HardwareCard(1, "Device", 1)
HDMI = HardwareCard(2, "vc4hdmi0", 0)
CARDS = [HEADPHONES, USB, USB_2, HDMI]


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """The files of a Raspberry Pi with headphones, a USB card and HDMI."""
    asound = tmp_path / "asound"
    for card in CARDS:
        status = asound / f"card{card.number}" / f"pcm{card.device}p" / "sub0" / "status"
        status.parent.mkdir(parents=True)
        status.write_text("closed\n")
        (asound / f"card{card.number}" / "id").write_text(f"{card.id}\n")
    (asound / "pcm").write_text(
        "00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8\n"
        "01-00: USB Audio : USB Audio : playback 1 : capture 1\n"
        "01-01: USB Audio : USB Audio #1 : playback 1\n"
        "02-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1\n"
        "03-00: A microphone : A microphone : capture 1\n"
    )
    return tmp_path


def occupy(proc: Path, card: HardwareCard, name: str) -> None:
    """Let process 812 use the card; without a ``name``, the kernel hides the process."""
    status = f"asound/card{card.number}/pcm{card.device}p/sub0/status"
    (proc / status).write_text("state: RUNNING\nowner_pid   : 812\ntrigger_time: 3.4\n")
    if name:
        (proc / "812").mkdir()
        (proc / "812" / "comm").write_text(f"{name}\n")


def test_the_cards_that_can_play_are_read_from_the_kernel(proc: Path) -> None:
    assert hardware_cards(proc) == CARDS
    assert [card.label for card in CARDS] == ["Headphones", "Device", "Device,1", "vc4hdmi0"]


def test_a_machine_without_alsa_has_none(tmp_path: Path) -> None:
    assert hardware_cards(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("plughw:CARD=Headphones,DEV=0", HEADPHONES),
        ("hw:1,0", USB),
        ("hw:1", USB),
        ("hw:1,1", USB_2),
        ("plughw:1,0", USB),
        ("sysdefault:CARD=Device", USB),
        ("default:CARD=Headphones", HEADPHONES),
        ("front:CARD=Device,DEV=0", USB),
        ("hdmi:CARD=vc4hdmi0,DEV=0", HDMI),
        ("iec958:CARD=Device,DEV=1", USB_2),
        ("dmix:CARD=headphones,DEV=0", HEADPHONES),
        ("hw:7,0", None),
        ("hw:CARD=Headphones,DEV=3", None),
        ("Headphones", None),
        ("wav:CARD=Headphones", None),
    ],
)
def test_what_aplay_prints_is_understood(name: str, card: HardwareCard | None) -> None:
    assert find_by_alsa_name(name, CARDS) == card


@pytest.mark.parametrize(
    ("name", "card"),
    [("headphones", HEADPHONES), ("Device,1", USB_2), ("hw:1,0", USB), ("Kitchen", None)],
)
def test_a_card_is_found_by_its_label_too(name: str, card: HardwareCard | None) -> None:
    assert find(name, CARDS) == card


def test_a_busy_card_is_said_with_the_program_that_uses_it(proc: Path) -> None:
    occupy(proc, USB, "mpd")
    assert reason(errno.EBUSY, USB, proc) == "mpd (process 812) uses it: end that program first"
    assert "another program uses it" in reason(errno.EBUSY, HEADPHONES, proc)
    assert "another program uses it" in reason(errno.EBUSY, None, proc)


def test_the_sound_server_of_a_session_is_named(proc: Path) -> None:
    occupy(proc, HEADPHONES, "pipewire")
    assert "the sound server pipewire (process 812)" in reason(errno.EBUSY, HEADPHONES, proc)


def test_a_program_whose_name_is_hidden_may_be_a_sound_server(proc: Path) -> None:
    """The service sees no process of others (ProtectProc=invisible)."""
    occupy(proc, HEADPHONES, "")
    assert reason(errno.EBUSY, HEADPHONES, proc) == (
        "process 812 uses it, perhaps the sound server of somebody who is logged in "
        "(`ps -p 812`); see docs/sound.md"
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENODEV, "no such device"),
        (errno.ENOENT, "no such device"),
        (errno.ENOSPC, "no bandwidth left"),
        (errno.EACCES, "usermod -aG audio"),
        (errno.ECONNREFUSED, "sound server does not answer"),
        (524, "no screen is connected"),
        (errno.EIO, os.strerror(errno.EIO).lower()),
        (0, "not known"),
    ],
)
def test_alsas_reason_is_said_in_words(code: int, words: str, proc: Path) -> None:
    assert words in reason(code, None, proc)


@pytest.mark.parametrize(("present", "silent"), [("0", True), ("1", False)])
def test_hdmi_knows_from_the_screens_data_whether_there_is_one(
    proc: Path, tmp_path: Path, present: str, silent: bool
) -> None:
    (proc / "asound" / "card2" / "eld#0.0").write_text(f"monitor_present\t\t{present}\n")
    assert is_hdmi_without_screen(HDMI, proc, tmp_path / "drm") is silent
    assert not is_hdmi_without_screen(HEADPHONES, proc, tmp_path / "drm")


def test_hdmi_of_a_pi_knows_it_from_its_plug(proc: Path, tmp_path: Path) -> None:
    drm = tmp_path / "drm"
    for number, state in enumerate(["disconnected", "connected"], 1):
        plug = drm / f"card1-HDMI-A-{number}"
        plug.mkdir(parents=True)
        (plug / "status").write_text(f"{state}\n")
    assert is_hdmi_without_screen(HDMI, proc, drm)
    assert not is_hdmi_without_screen(HardwareCard(3, "vc4hdmi1", 0), proc, drm)
    assert not is_hdmi_without_screen(HDMI, proc, tmp_path / "none"), "unknown: it may be heard"


def test_alsa_itself_is_asked() -> None:
    assert open_error("null") == 0
    assert open_error("hw:31") in (errno.ENOENT, errno.ENODEV)
    # What ALSA itself says is no news.
    assert explanation("hw:31", errno.ENODEV, None) == "there is no such device"


@pytest.mark.parametrize(
    ("code", "line", "expected"),
    [
        (
            errno.ENOMEM,
            "bluealsa-pcm.c:1298:(_snd_pcm_bluealsa_open) Couldn't initialize D-Bus context: "
            "Failed to connect to socket /run/dbus/system_bus_socket",
            "its plug-in of ALSA says \"Couldn't initialize D-Bus context: Failed to connect to "
            'socket /run/dbus/system_bus_socket"',
        ),
        (
            errno.ENODEV,
            "bluealsa-pcm.c:1313:(_snd_pcm_bluealsa_open) Couldn't get BlueALSA PCM: PCM not found",
            "there is no such device; its plug-in of ALSA says \"Couldn't get BlueALSA PCM: PCM "
            'not found"',
        ),
        (
            errno.ENOENT,
            "pcm.c:2666:(snd_pcm_open_noupdate) Unknown PCM loudspeaker",
            "there is no such device",
        ),
    ],
)
def test_the_words_of_a_plug_in_are_in_the_reason(
    monkeypatch: pytest.MonkeyPatch, code: int, line: str, expected: str
) -> None:
    """Words and error numbers of Debian's bluez-alsa 4.0.0, tried without D-Bus, without its
    service, and without a loudspeaker."""

    def refuse(_pcm: str, stderr: int) -> int:
        os.write(stderr, f"D: a debug message\nALSA lib {line}\n".encode())
        return code

    monkeypatch.setattr(alsa_cards, "open_error", refuse)
    assert explanation("loudspeaker", code, None) == expected
