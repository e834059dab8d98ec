"""The checks of ``bachbox doctor`` that concern MIDI: whether the configured ports are there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from appliance.config.loader import Config
from appliance.offline.findings import CheckStatus, Finding


def check_midi(config: Config) -> Iterator[Finding]:
    """Yield a finding for each configured port; nothing is sent.

    Raises:
        BachboxError: this machine has no ALSA sequencer.
    """
    midi = config.midi
    for key, is_input, wanted in (
        ("out_port", False, [midi.out_port] if midi.out_port else []),
        ("in_ports", True, list(midi.in_ports)),
    ):
        for name in wanted:
            yield _device(name) if name.startswith("/") else _port(key, name, is_input=is_input)


def _device(name: str) -> Finding:
    if not Path(name).exists():
        return Finding("MIDI", CheckStatus.FAILED, f"there is no {name}", "plug the device in")
    if not os.access(name, os.R_OK | os.W_OK):
        remedy = "sudo usermod -aG audio,dialout $USER, then log in again"
        return Finding("MIDI", CheckStatus.FAILED, f"{name}: permission denied", remedy)
    return Finding("MIDI", CheckStatus.OK, f"{name} can be used")


def _port(key: str, name: str, *, is_input: bool) -> Finding:
    from appliance.audio.midi.alsa_sequencer import port_names

    names = port_names(is_input=is_input)
    found = [port for port in names if name.casefold() in port.casefold()]
    if found:
        return Finding("MIDI", CheckStatus.OK, f"{key}: {', '.join(found)}")
    there = ", ".join(names) or "none"
    remedy = f"plug it in, or set [midi] {key} to a part of one of these names: {there}"
    return Finding("MIDI", CheckStatus.FAILED, f"{key}: no port is called {name}", remedy)
