"""The unit file: systemd understands every line of it, and it shuts the box in."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "bachbox.service"

MAX_EXPOSED = 20
"""Tenths of systemd's points from 0 (shut in) to 10; Debian's mosquitto has 9.2."""


def analyze(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_systemd_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # The command has to be there; it is where the box is installed.
    unit.write_text(UNIT.read_text().replace("/opt/bachbox/bin/bachbox", "/bin/true"))
    # Without looking at what else this machine would start.
    said = analyze("verify", "--man=no", "--recursive-errors=no", unit)
    assert said.returncode == 0, said.stdout
    assert said.stdout == ""


def test_it_is_shut_in() -> None:
    said = analyze("security", "--offline=yes", f"--threshold={MAX_EXPOSED}", UNIT)
    assert said.returncode == 0, said.stdout
    assert "Invalid" not in said.stdout


def test_what_real_time_and_pins_need_is_not_forbidden() -> None:
    settings = set(UNIT.read_text().splitlines())
    assert "LimitRTPRIO=20" in settings
    for line in ("RestrictRealtime=yes", "SystemCallFilter=~@resources", "ProcSubset=pid"):
        assert line not in settings


def test_drivers_of_what_it_may_use_are_loaded_before_it_starts() -> None:
    """DeviceAllow= of a kind of device that the kernel does not know yet allows nothing."""
    lines = UNIT.read_text().splitlines()
    for kind, module in (("alsa", "snd"), ("spidev", "spidev")):
        assert f"DeviceAllow=char-{kind} rw" in lines
        for order in ("Wants", "After"):
            assert any(
                line.startswith(f"{order}=") and f"modprobe@{module}.service" in line
                for line in lines
            )
