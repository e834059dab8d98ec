"""Pins that a sound card on I2S or I2C uses are found and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config.gpio_schema import Button, Encoder, Led, Pot
from appliance.frontends.gpio.overlays import clash, pins_in_use


def machine(folder: Path, config: str = "", **buses: str) -> dict[int, str]:
    """The pins in use on a Raspberry Pi with this config.txt and the state of these buses."""
    tree = folder / "device-tree"
    for symbol, status in buses.items():
        node = tree / "soc" / f"{symbol}@7e203000"
        node.mkdir(parents=True)
        (node / "status").write_bytes(status.encode() + b"\0")
        (tree / "__symbols__").mkdir(exist_ok=True)
        (tree / "__symbols__" / symbol).write_bytes(f"/soc/{node.name}\0".encode())
    (folder / "config.txt").write_text(config)
    return pins_in_use(tree, (folder / "none.txt", folder / "config.txt"))


def test_a_machine_without_a_device_tree_uses_no_pin(tmp_path: Path) -> None:
    assert pins_in_use(tmp_path / "none", (tmp_path / "none.txt",)) == {}


def test_buses_that_are_off_use_no_pin(tmp_path: Path) -> None:
    config = "#dtoverlay=hifiberry-dac\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\n"
    assert machine(tmp_path, config, i2s="disabled", i2c_arm="disabled") == {}


@pytest.mark.parametrize("overlay", ["hifiberry-dacplus", "iqaudio-dacplus", "i2s-dac"])
def test_the_overlay_of_a_sound_card_is_named(tmp_path: Path, overlay: str) -> None:
    used = machine(tmp_path, f"[all]\ndtoverlay={overlay},slave\n", i2s="okay")
    assert set(used) == {18, 19, 20, 21}
    said = clash(Led(20, "beat"), used)
    assert f"pin 20 belongs to the sound card on I2S (dtoverlay={overlay})" in said
    assert "22 to 27 are free" in said


def test_i2c_uses_two_pins(tmp_path: Path) -> None:
    used = machine(tmp_path, i2c_arm="okay")
    assert "pin 3 belongs to I2C" in clash(Button(3, "playing"), used)


def test_the_parts_of_the_documents_are_clear_of_both(tmp_path: Path) -> None:
    used = machine(tmp_path, i2s="okay", i2c_arm="okay")
    for part in (
        Encoder("tempo", 17, 27, push=22),
        Pot("volume", 0),
        Button(16, "playing"),
        Led(26, "beat"),
    ):
        assert clash(part, used) == ""
