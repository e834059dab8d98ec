"""Which controller a knob is, and whether the ports that are set are there."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.audio.midi.memory_ports import MemoryIn
from appliance.cli.midi import turned_knob
from appliance.config.loader import Config
from appliance.config.midi_schema import Midi
from appliance.errors import BachboxError
from appliance.offline.findings import CheckStatus
from appliance.offline.midi_checks import check_midi


def test_the_knob_that_is_turned_is_found_among_those_that_tremble() -> None:
    port = MemoryIn()
    trembling = [bytes((0xB3, 9, 60 + step % 3)) for step in range(10)]
    turned = [bytes((0xB0, 21, 40 + step)) for step in range(20)]
    port.play(bytes((0x90, 60, 90)), *trembling, *turned)
    assert turned_knob(port, 60.0) == 21


def test_nobody_turns_anything() -> None:
    with pytest.raises(BachboxError, match="no knob was turned"):
        turned_knob(MemoryIn(), 0.05)


def test_a_device_that_is_missing_is_named(tmp_path: Path) -> None:
    there = tmp_path / "midi"
    there.touch()
    missing = tmp_path / "unplugged"
    config = Config(midi=Midi(out_port=str(there), in_ports=(str(missing),)))
    found = list(check_midi(config))
    assert [finding.status for finding in found] == [CheckStatus.OK, CheckStatus.FAILED]
    assert str(missing) in found[1].detail
    assert not list(check_midi(Config()))
