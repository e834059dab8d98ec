"""A sound card on the header: ``dac`` in bachbox.txt, and what it makes of the card."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment.card_scripts import CARD, load

settings = load("settings")
dac = load("dac")
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True)
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A boot partition; commands of the system do nothing."""
    settings.problems.clear()
    monkeypatch.setattr(settings, "TEXT", tmp_path / "bachbox.txt")
    monkeypatch.setattr(settings, "RUN", tmp_path / "run")
    monkeypatch.setattr(settings, "MODPROBE", tmp_path / "run" / "modprobe.conf")
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(settings.subprocess, "run", lambda *_args, **_more: None)
    yield tmp_path
    settings.problems.clear()


def listed(name: str) -> set[str]:
    lines = (DATA / name).read_text().splitlines()
    return {line for line in lines if not line.startswith("#")}


def test_what_is_said_of_debian_is_what_debian_has() -> None:
    overlays, drivers = listed("debian-13-overlays.txt"), listed("debian-13-sound-drivers.txt")
    # So no overlay of a board can be named in config.txt as it is, and this one is ours.
    assert overlays & (dac.PLAIN.keys() | dac.UNDRIVEN.keys()) == {"hifiberry-dac"}
    assert dac.OVERLAY not in overlays
    assert {"snd-soc-bcm2835-i2s", "snd-soc-simple-card", "snd-soc-pcm5102a"} <= drivers
    for chip in set(dac.UNDRIVEN.values()):
        name = chip.partition(" ")[0].rstrip(",").lower()
        if name not in ("wm8804", "wm8960"):
            assert f"snd-soc-{name}" not in drivers, chip
    assert "snd-soc-pcm512x" not in drivers


def test_the_overlay_is_a_device_tree_with_the_card_that_alsa_is_told_of(tmp_path: Path) -> None:
    source, made = CARD / "bachbox-dac.dts", tmp_path / "made.dtbo"
    # Not settings' own, which does nothing here.
    subprocess.Popen(["dtc", "-q", "-@", "-O", "dtb", "-o", made, source]).wait(60)
    assert made.read_bytes()[:4] == b"\xd0\x0d\xfe\xed"
    assert f'simple-audio-card,name = "{dac.CARD_ID}"' in source.read_text()
    assert len(dac.CARD_ID) <= 15, "ALSA cuts longer names"
    assert b"ti,pcm5102a\0" in made.read_bytes()
    custom = (CARD / "root/etc/default/raspi-firmware-custom").read_text()
    assert custom == f"include {dac.INCLUDED}\n"


@pytest.mark.parametrize("name", sorted(dac.PLAIN))
def test_a_card_is_switched_on_once(name: str, card: Path) -> None:
    assert settings.apply_dac(name, "")
    lines = (card / dac.INCLUDED).read_text().splitlines()
    assert lines[1:] == [f"dtoverlay={dac.OVERLAY}", "dtparam=audio=off"]
    assert (card / "run/environment").read_text() == f"ALSA_CARD={dac.CARD_ID}\n"
    assert "snd_bcm2835" in (card / "run/modprobe.conf").read_text()
    written_at = (card / dac.INCLUDED).stat().st_mtime_ns
    assert not settings.apply_dac(name, ""), "it does not start again and again"
    assert (card / dac.INCLUDED).stat().st_mtime_ns == written_at
    assert settings.problems == []


def test_without_a_card_nothing_is_left_of_it(card: Path) -> None:
    assert not settings.apply_dac("", "")
    assert not (card / dac.INCLUDED).exists()
    settings.apply_dac("hifiberry-dac", "")
    assert settings.apply_dac("", "")
    assert not (card / dac.INCLUDED).exists()
    assert not (card / "run/environment").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("hifiberry-dac-plus", "there is no hifiberry-dac-plus; did you mean hifiberry-dacplus?"),
        ("HifiBerry-DAC", "did you mean hifiberry-dac?"),
        ("pcm5102", "the names are hifiberry-dac, i2s-dac"),
        ("hifiberry-digi", "has no driver for it (WM8804"),
        ("wm8960-soundcard", "use Raspberry Pi OS"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_and_nothing_changes(
    name: str, sentence: str, card: Path
) -> None:
    settings.apply_dac("hifiberry-dac", "")
    before = (card / dac.INCLUDED).read_bytes()
    assert not settings.apply_dac(name, "")
    assert (card / dac.INCLUDED).read_bytes() == before
    settings.save_problems(card)
    assert sentence in (card / "bachbox-problems.txt").read_text()
    assert settings.beep_counts(settings.problems) == [6]


def test_pins_of_the_card_are_named_in_the_list() -> None:
    box = (
        '[gpio]\nencoders = [{ turns = "tempo", a = 17, b = 18, push = 21 }]\nleds = [{ pin = 5 }]'
    )
    settings.apply_dac("", box)
    assert settings.problems == []
    settings.apply_dac("hifiberry-dac", box)
    assert [re.sub(r";.*", "", problem) for problem in settings.problems] == [
        f"[gpio]: pin {pin} belongs to the sound card (dac)" for pin in (18, 21)
    ]
    settings.problems.clear()
    settings.apply_dac("hifiberry-dac", "[gpio\n")
    assert settings.problems == [], "bachbox config says what is wrong with it"


def test_a_partition_that_cannot_be_written_is_said(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "TEXT", card / "missing" / "bachbox.txt")
    assert not settings.apply_dac("hifiberry-dac", "")
    assert "cannot be written beside this file (No such file" in settings.problems[0]
