"""``[midi]``: what is allowed, and what is said about what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import loader
from appliance.config.loader import ConfigError

FILE = Path("bachbox.toml")


def problem(lines: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.parse("[midi]\n" + lines, FILE)
    [sentence] = caught.value.problems
    return sentence


def test_ports_knobs_and_buttons() -> None:
    midi = loader.parse(
        """
        [midi]
        out_port = "GrandOrgue"
        in_ports = ["nanoKONTROL2"]
        buttons = { 64 = "next_piece", 65 = "volume=+5" }
        [midi.knobs]
        21 = "tempo"
        7 = "volume"
        """,
        FILE,
    ).midi
    assert (midi.out_port, midi.in_ports) == ("GrandOrgue", ("nanoKONTROL2",))
    assert midi.knobs == {"21": "tempo", "7": "volume"}
    assert midi.buttons == {"64": "next_piece", "65": "volume=+5"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('knobs = { 120 = "tempo" }', "controllers from 0 to 119"),
        ('knobs = { 7 = "loudness" }', "controllers from 0 to 119 and the settings"),
        ('buttons = { 64 = "dance" }', "'dance' is not known"),
        ('buttons = { 64 = "power_off" }', "power_off is for buttons on the pins alone"),
        ('buttons = { 64 = "volume=loud" }', "64 = "),
        ('knobs = { 7 = "tempo" }\nbuttons = { 7 = "playing" }', "7 turns tempo already"),
        ("in_ports = [3]", "a list of parts of ports' names"),
        ('out_port = ["a"]', "GrandOrgue"),
    ],
)
def test_mistakes_are_said(lines: str, expected: str) -> None:
    assert expected in problem(lines)
