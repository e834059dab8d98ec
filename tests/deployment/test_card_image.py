"""The text file on the card: what people write into it, and what becomes of it."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

CARD = Path(__file__).parents[2] / "deploy" / "card"
script = runpy.run_path(str(CARD / "settings.py"))
"""The script's names; it is not a part of the package."""


def understood(text: str) -> dict[str, str]:
    known: dict[str, str] = script["understand"](script["split"](text)[0])
    return known


def test_the_file_that_comes_along_is_in_order(tmp_path: Path) -> None:
    card, box = script["split"]((CARD / "bachbox.txt").read_text())
    assert set(script["understand"](card)) == set(script["KEYS"])
    assert "card" not in tomllib.loads(box)
    config = tmp_path / "bachbox.toml"
    config.write_text(box)
    checked = subprocess.run(
        [sys.executable, "-m", "appliance", "config", "--config", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_from_any_editor(tmp_path: Path) -> None:
    path = tmp_path / "bachbox.txt"
    path.write_bytes("\ufeff[card]\r\nwifi_name = “Zuhause”\r\n".encode())
    assert understood(script["read"](path)) == {"wifi_name": "Zuhause"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('wifi = "home"', "there is no wifi"),
        ('wifi_password = "short"', "wifi_password has to be 8 to 63"),
        ('wifi_country = "Germany"', "two capital letters"),
        ("hostname = 7", "hostname has to be letters"),
        ("wifi_name = home", "quotation marks"),
        ('broker_password = "a\\nb"', "broker_password has to be one line"),
    ],
)
def test_a_mistake_is_told_of(line: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert understood(f"[card]\n{line}\n") == {}
    assert sentence in capsys.readouterr().err


def test_a_password_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    understood('[card]\nwifi_password = "tööö secret"\n')
    assert "secret" not in capsys.readouterr().err


def test_the_box_s_lines_stay_where_they_are() -> None:
    card, box = script["split"]('[card]\nhostname = "a"\n[sound]\nvolume = 1\n')
    assert box == "\n\n[sound]\nvolume = 1\n"
    assert card == '[card]\nhostname = "a"\n\n\n'


def test_no_file_is_no_mistake(tmp_path: Path) -> None:
    assert script["read"](tmp_path / "none") == ""


@given(st.text(max_size=32), st.from_regex(r"[ -~]{8,63}", fullmatch=True))
def test_a_name_or_password_can_be_nothing_else(name: str, password: str) -> None:
    lines = script["wpa_config"](name, password, "DE").splitlines()
    assert lines[3] == f"\tssid={name.encode().hex()}"
    assert lines[5] == f'\tpsk="{password}"'
    assert len(lines) == 7


def test_an_open_network_and_a_key_in_hex() -> None:
    wpa: Any = script["wpa_config"]
    assert "key_mgmt=NONE" in wpa("cafe", "", "FR")
    assert f"psk={'0f' * 32}\n" in wpa("home", "0f" * 32, "FR")
