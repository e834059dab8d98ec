"""Raw MIDI devices: a pipe takes and gives the bytes of the wire."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.audio import midi
from appliance.audio.midi import Timed
from appliance.audio.midi.raw_device import RawIn, RawOut

TIMEOUT_S = 60.0

NOTE = bytes((0x90, 60, 90))


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "midi"
    os.mkfifo(path)
    return path


def eventually(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_messages_come_out_in_order_and_not_before_they_are_due(device: Path) -> None:
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    port = midi.open_out(str(device))
    assert port.connect()
    assert not port.connect()
    due_s = time.monotonic() + 0.05
    port.send([Timed(0.0, b"\xfa"), Timed(due_s, NOTE)])
    heard = b""
    while NOTE not in heard:
        try:
            heard += os.read(reader, 100)
        except BlockingIOError:
            time.sleep(0.001)
    assert time.monotonic() >= due_s
    assert heard == b"\xfa" + NOTE
    port.close()
    os.close(reader)


def test_what_is_cancelled_never_comes(device: Path) -> None:
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    port = RawOut(str(device))
    port.connect()
    port.send([Timed(time.monotonic() + 3600, NOTE)])
    port.cancel()
    port.send([Timed(0.0, b"\xfc")])
    port.close()
    assert os.read(reader, 100) == b"\xfc"
    os.close(reader)


def test_a_device_that_goesis_connected_again_when_it_comes(device: Path) -> None:
    port = RawOut(str(device))
    assert not port.connect(), "nobody reads"
    for _ in range(2):
        reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
        eventually(port.connect)
        os.close(reader)
        port.send([Timed(0.0, NOTE)])
        eventually(lambda: not port.is_connected)
    port.close()


def test_a_device_that_takes_nothing_more_is_reported(device: Path) -> None:
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    port = RawOut(str(device))
    port.connect()
    flood = [Timed(0.0, NOTE)] * 1000
    eventually(lambda: not port.send(flood))
    port.close()
    os.close(reader)


def test_what_is_written_into_a_device_is_read(device: Path) -> None:
    port = midi.open_in([str(device)])
    assert isinstance(port, RawIn)
    assert port.connect() == [str(device)]
    writer = os.open(device, os.O_WRONLY)
    os.write(writer, NOTE + bytes((62, 91)))
    assert port.read(TIMEOUT_S) == [NOTE, bytes((0x90, 62, 91))]
    os.close(writer)
    assert port.read(TIMEOUT_S) == []
    assert port.connect() == [str(device)]
    port.close()
