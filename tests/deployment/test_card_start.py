"""A start of the card with a wrong bachbox.txt: told by LED, beeps and a file; by none of them
without mistakes."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.card_scripts import CARD, load

settings = load("settings")


@pytest.fixture(autouse=True)
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The boot partition, /run and the LED of a card; commands of the system do nothing."""
    settings.problems.clear()
    for name, path in (
        ("TEXT", "firmware/bachbox.txt"),
        ("RUN", "run"),
        ("MODPROBE", "run/modprobe.conf"),
        ("LED", "led"),
        ("DEFAULT", "bachbox.toml"),
    ):
        monkeypatch.setattr(settings, name, tmp_path / path)
    for folder in ("firmware", "led"):
        (tmp_path / folder).mkdir()
    (tmp_path / "led" / "trigger").write_text("mmc0")
    (tmp_path / "bachbox.toml").write_text("[music]\n")
    done = subprocess.CompletedProcess([], 0, "", "")
    run = subprocess.run

    def run_only_bachbox(command: list[str], **options: Any) -> Any:
        if command[0] != "bachbox":
            return done
        return run([sys.executable, "-m", "appliance", *command[1:]], **options)

    monkeypatch.setattr(settings.subprocess, "run", run_only_bachbox)
    monkeypatch.setattr(settings.socket, "sethostname", lambda _name: None)
    yield tmp_path
    settings.problems.clear()


def start(card: Path, text: str) -> None:
    """Start the card with this bachbox.txt, as its service does."""
    (card / "firmware" / "bachbox.txt").write_text(text)
    settings.problems.clear()
    settings.main()


def test_mistakes_are_told_by_the_led_by_beeps_and_in_a_file(card: Path) -> None:
    start(card, '[card]\nwifi_name = "home"\nwifi_password = "short"\n')
    led = {file.name: file.read_text() for file in (card / "led").iterdir()}
    assert led == {"trigger": "timer", "delay_on": "250", "delay_off": "250"}
    told = (card / "firmware" / "bachbox-problems.txt").read_text()
    assert "line 3: wifi_password has to be 8 to 63 characters" in told
    with wave.open(str(card / "run" / "beeps.wav")) as beeps:
        assert beeps.getnframes() > beeps.getframerate()


@pytest.mark.parametrize(
    ("wrong", "told", "is_kept", "beeps"),
    [
        ("[display]\nzzz = 1", "[display] has no key zzz", True, [5]),
        ("[music]\nzzz = 1", "[music] has no key zzz", False, [5]),
        ("[music", "this is not TOML", False, [1, 5]),
    ],
)
def test_a_mistake_loses_no_more_of_the_config_than_it_must(
    card: Path, wrong: str, told: str, is_kept: bool, beeps: list[int]
) -> None:
    start(card, f'[card]\nhostname = "box"\n[sound]\nvolume = 12\n{wrong}\n')
    config = (card / "run" / "bachbox.toml").read_text()
    assert ("volume = 12" in config) == is_kept
    if not is_kept:
        assert tomllib.loads(config) == {"music": {}}
    lines = (card / "firmware" / "bachbox-problems.txt").read_text().splitlines()
    assert lines[2].startswith(told), lines
    assert settings.beep_counts(settings.problems) == beeps


def test_without_mistakes_nothing_is_told_and_what_was_told_is_gone(card: Path) -> None:
    start(card, "[card]\nnonsense\n")
    assert (card / "firmware" / "bachbox-problems.txt").exists()
    for file in (card / "led").iterdir():
        file.unlink()
    (card / "led" / "trigger").write_text("mmc0")
    start(card, (CARD / "bachbox.txt").read_text())
    assert {file.name for file in (card / "led").iterdir()} == {"trigger"}
    assert (card / "led" / "trigger").read_text() == "mmc0"
    assert not (card / "run" / "beeps.wav").exists()
    assert not (card / "firmware" / "bachbox-problems.txt").exists()


def test_a_board_without_such_an_led_tells_it_in_the_file_and_by_beeps(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "LED", card / "none")
    start(card, "[card]\nnonsense\n")
    assert (card / "firmware" / "bachbox-problems.txt").exists()
    assert (card / "run" / "beeps.wav").exists()
