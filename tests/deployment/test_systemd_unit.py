"""The systemd unit file: it is valid, and it confines the service."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "bachbox.service"

MAX_EXPOSED = 20
"""In tenths of the exposure level of systemd-analyze, 0 (confined) to 10; mosquitto has 9.2."""


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_unit_is_valid(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # The command must exist; here Bachbox is not installed.
    unit.write_text(UNIT.read_text().replace("/opt/bachbox/bin/bachbox", "/bin/true"))
    # Without checking the other units of this machine.
    result = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert result.returncode == 0, result.stdout
    assert result.stdout == ""


def test_unit_confines_the_service() -> None:
    result = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSED}", UNIT)
    assert result.returncode == 0, result.stdout
    assert "Invalid" not in result.stdout


def test_unit_allows_real_time_and_pins() -> None:
    settings = set(UNIT.read_text().splitlines())
    assert "LimitRTPRIO=20" in settings
    for line in ("RestrictRealtime=yes", "SystemCallFilter=~@resources", "ProcSubset=pid"):
        assert line not in settings


def test_unit_loads_drivers_before_it_starts() -> None:
    """DeviceAllow= has no effect on devices whose driver is not loaded yet."""
    lines = UNIT.read_text().splitlines()
    for kind, module in (("alsa", "snd"), ("spidev", "spidev"), ("i2c", "i2c_dev")):
        assert f"DeviceAllow=char-{kind} rw" in lines
        for order in ("Wants", "After"):
            assert any(
                line.startswith(f"{order}=") and f"modprobe@{module}.service" in line
                for line in lines
            )
