"""What the sequencer's library is asked for. ``python -m tests.machine midi`` has a real one."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.audio.midi import alsa_sequencer
from appliance.audio.midi.alsa_sequencer import SequencerIn

KNOB = struct.pack("<BBbBIIBBBB" + "B3xIi", 10, 0, 0, 253, 0, 0, 20, 0, 128, 0, 0, 7, 64)
"""An event: controller 7 at 64."""
PORT_START = struct.pack("<BBbBIIBBBB" + "12s", 63, 0, 0, 253, 0, 0, 0, 1, 128, 1, bytes((20, 0)))


class Library:
    """Stands for libasound: a client without others around, which hears ``events``."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.calls: list[str] = []
        self.fd = os.eventfd(1)
        self._event = ctypes.create_string_buffer(28)

    def __getattr__(self, name: str) -> Any:
        def call(*_arguments: object) -> int:
            self.calls.append(name)
            return 0

        return call

    def snd_seq_poll_descriptors(self, _seq: object, entry: Any, *_arguments: object) -> int:
        entry[0] = self.fd
        return 1

    def snd_seq_query_next_client(self, *_arguments: object) -> int:
        self.calls.append("snd_seq_query_next_client")
        return -2

    def snd_seq_event_input(self, _seq: object, at: Any) -> int:
        if not self.events:
            return -11
        self._event.raw = self.events.pop(0)
        at._obj.value = ctypes.addressof(self._event)
        return 28


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    library = Library()
    monkeypatch.setattr(alsa_sequencer, "_library", lambda: library)
    yield library
    os.close(library.fd)


def test_ports_are_not_looked_for_at_each_message(library: Library) -> None:
    port = SequencerIn(["nano"])

    def searches(*events: bytes) -> int:
        library.events = list(events)
        library.calls.clear()
        for _ in range(2 * len(events)):
            port.read(0.0)
            port.connect()
        return library.calls.count("snd_seq_query_next_client")

    port.connect()
    assert searches(*[KNOB] * 100) == 0
    assert searches(PORT_START) == 1
    port.close()
