"""ALSA's sequencer: ports that programs and devices share, and a queue in the kernel.

The functions of libasound are called directly; PortAudio needs the library anyway. The Python
packages for it were tried and left out (docs/decisions/7-midi-through-alsa.md). An event is built
here as the C structure ``snd_seq_event_t`` (alsa/seq_event.h), whose layout is part of the
kernel's interface.
"""

from __future__ import annotations

import ctypes
import functools
import os
import select
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from appliance.audio.midi import (
    CLOCK,
    CONTINUE,
    CONTROL_CHANGE,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM_CHANGE,
    RETRY_S,
    START,
    STOP,
    Timed,
)
from appliance.audio.silence_stderr import silence_stderr
from appliance.errors import BachboxError

_DUPLEX, _NONBLOCK = 3, 1
_READ, _WRITE, _SUBS_READ, _SUBS_WRITE = 1, 2, 32, 64
_TYPE_GENERIC, _TYPE_APPLICATION = 2, 1 << 20
"""Capabilities and types of ports, and modes of ``snd_seq_open``: alsa/seq.h, asequencer.h."""

_DIRECT, _SUBSCRIBERS, _UNKNOWN, _TIME_REAL = 253, 254, 253, 1

_EVENT: Final = struct.Struct("<BBbBIIBBBB12s")
"""Type, flags, tag, queue, seconds, nanoseconds, source, destination, data: 28 bytes."""

_EV_NOTE_ON, _EV_NOTE_OFF, _EV_CONTROL, _EV_PROGRAM = 6, 7, 10, 11
_EV_START, _EV_CONTINUE, _EV_STOP, _EV_CLOCK = 30, 31, 32, 36
_EV_CLIENT_EXIT, _EV_PORT_START, _EV_PORT_EXIT = 61, 63, 64
_EV_SUBSCRIBED, _EV_UNSUBSCRIBED = 66, 67
_ANNOUNCEMENTS: Final = (_EV_CLIENT_EXIT, _EV_PORT_START, _EV_PORT_EXIT, _EV_UNSUBSCRIBED)
_REAL_TIME: Final = {
    CLOCK: _EV_CLOCK, START: _EV_START, CONTINUE: _EV_CONTINUE, STOP: _EV_STOP,
}  # fmt: skip

_POOL_EVENTS: Final = 2000
"""How many events the kernel keeps until they are due; the most that it allows."""

_CLIENT_NAME: Final = b"Bachbox"


class Port(NamedTuple):
    """A port of another program or device."""

    client: int
    port: int
    name: str
    """Client and port, such as "nanoKONTROL2:nanoKONTROL2 MIDI 1"."""


class _Client:
    """A client of the sequencer with one port.

    Args:
        capabilities: of the port.

    Raises:
        BachboxError: there is no sequencer.
    """

    def __init__(self, capabilities: int) -> None:
        self._lib = _library()
        self._seq = ctypes.c_void_p()
        with silence_stderr():
            code = self._lib.snd_seq_open(ctypes.byref(self._seq), b"default", _DUPLEX, _NONBLOCK)
        if code < 0:
            raise BachboxError(
                f"ALSA's sequencer cannot be opened ({self._lib.snd_strerror(code).decode()}): run "
                "`sudo modprobe snd-seq`, and be in the group audio"
            )
        self._lib.snd_seq_set_client_name(self._seq, _CLIENT_NAME)
        self._id = int(self._lib.snd_seq_client_id(self._seq))
        self._port = self._make_port(b"music", capabilities)
        # Other ports come and go: the system client tells this one.
        self._listener = self._make_port(b"announcements", _WRITE)
        self._lib.snd_seq_connect_from(self._seq, self._listener, 0, 1)
        self._poll = select.poll()
        self._poll.register(self._fd(), select.POLLIN)
        self._woken = os.eventfd(0)
        self._poll.register(self._woken, select.POLLIN)

    def _make_port(self, name: bytes, capabilities: int) -> int:
        kind = _TYPE_GENERIC | _TYPE_APPLICATION
        return int(self._lib.snd_seq_create_simple_port(self._seq, name, capabilities, kind))

    def _fd(self) -> int:
        entry = (ctypes.c_int * 2)()  # struct pollfd: the descriptor, and events in two halves.
        self._lib.snd_seq_poll_descriptors(self._seq, entry, 1, select.POLLIN)
        return int(entry[0])

    def ports(self, capabilities: int) -> Iterator[Port]:
        """Yield the ports of others that have all of ``capabilities``."""
        lib, seq = self._lib, self._seq
        client, port = ctypes.create_string_buffer(512), ctypes.create_string_buffer(512)
        lib.snd_seq_client_info_set_client(client, -1)
        while lib.snd_seq_query_next_client(seq, client) >= 0:
            number = lib.snd_seq_client_info_get_client(client)
            client_name = lib.snd_seq_client_info_get_name(client).decode(errors="replace")
            if number in (0, self._id) or client_name == _CLIENT_NAME.decode():
                continue
            lib.snd_seq_port_info_set_client(port, number)
            lib.snd_seq_port_info_set_port(port, -1)
            while lib.snd_seq_query_next_port(seq, port) >= 0:
                if lib.snd_seq_port_info_get_capability(port) & capabilities == capabilities:
                    name = lib.snd_seq_port_info_get_name(port).decode(errors="replace")
                    yield Port(
                        number,
                        lib.snd_seq_port_info_get_port(port),
                        f"{client_name}:{name.strip()}",
                    )

    def _events(self, timeout_s: float) -> list[tuple[int, bytes]]:
        """Return type and data of the events that have come, waiting for the first."""
        found: list[tuple[int, bytes]] = []
        if self._poll.poll(1000 * timeout_s):
            event = ctypes.c_void_p()
            while (code := self._lib.snd_seq_event_input(self._seq, ctypes.byref(event))) >= 0 or (
                code == -28  # ENOSPC: some were lost, and the next ones are there.
            ):
                if code >= 0:
                    raw = ctypes.string_at(event, _EVENT.size)
                    found.append((raw[0], raw[16:]))
        return found

    def close(self) -> None:
        """Close the client; its connections end."""
        self._lib.snd_seq_close(self._seq)
        os.close(self._woken)


class SequencerOut(_Client):
    """An :class:`appliance.audio.midi.OutPort` to the first port whose name contains ``name``.

    Raises:
        BachboxError: there is no sequencer.
    """

    def __init__(self, name: str) -> None:
        super().__init__(_READ | _SUBS_READ)
        self._name = name.casefold()
        self._target: Port | None = None
        lib, seq = self._lib, self._seq
        lib.snd_seq_set_client_pool_output(seq, _POOL_EVENTS)
        lib.snd_seq_set_output_buffer_size(seq, _POOL_EVENTS * _EVENT.size)
        self._queue = lib.snd_seq_alloc_queue(seq)
        self._status = ctypes.create_string_buffer(512)
        lib.snd_seq_control_queue(seq, self._queue, _EV_START, 0, None)
        lib.snd_seq_drain_output(seq)
        self._last_s = 0.0

    @property
    def is_connected(self) -> bool:
        return self._target is not None

    def connect(self) -> bool:
        if self._target is not None:
            return False
        for port in self.ports(_WRITE | _SUBS_WRITE):
            if self._name in port.name.casefold():
                to = self._seq, self._port, port.client, port.port
                if self._lib.snd_seq_connect_to(*to) >= 0:
                    self._target = port
                    return True
        return False

    def wait(self, timeout_s: float) -> None:
        for kind, data in self._events(timeout_s):
            if kind in _ANNOUNCEMENTS and self._target is not None:
                # Client and port, or those of the sender and of the destination.
                gone = data[2:4] if kind == _EV_UNSUBSCRIBED else data[:2]
                is_own = kind != _EV_UNSUBSCRIBED or data[0] == self._id
                is_port = gone[1] == self._target.port or kind == _EV_CLIENT_EXIT
                if kind != _EV_PORT_START and is_own and gone[0] == self._target.client and is_port:
                    self._target = None

    def wake(self) -> None:
        os.eventfd_write(self._woken, 1)

    def send(self, messages: Sequence[Timed]) -> bool:
        if not messages:
            return True
        lib, seq, now = self._lib, self._seq, time.monotonic()
        queue_s = self._queue_s()
        # The kernel sends what is in the queue at the next tick of its timer. What is due now would
        # wait for that, and be lost if the port is closed before.
        is_direct = not self._last_s and all(at_s <= now for at_s, _ in messages)
        for at_s, message in messages:
            if not is_direct:
                # The order of messages must hold even where the clocks disagree by a microsecond.
                self._last_s = max(self._last_s, queue_s + at_s - now)
            seconds, part = divmod(self._last_s, 1.0)
            kind, data = _packed(message)
            queue = _DIRECT if is_direct else self._queue
            event = _EVENT.pack(
                *(kind, _TIME_REAL, 0, queue, int(seconds), int(part * 1e9)),
                *(self._id, self._port, _SUBSCRIBERS, _UNKNOWN, data),
            )
            if lib.snd_seq_event_output(seq, event) < 0:
                return False
        return bool(lib.snd_seq_drain_output(seq) >= 0)

    def _queue_s(self) -> float:
        """The time of the queue."""
        self._lib.snd_seq_get_queue_status(self._seq, self._queue, self._status)
        time_at = self._lib.snd_seq_queue_status_get_real_time(self._status)
        seconds, nanoseconds = struct.unpack("<II", ctypes.string_at(time_at, 8))
        return float(seconds + nanoseconds / 1e9)

    def cancel(self) -> None:
        self._lib.snd_seq_drop_output(self._seq)
        self._last_s = 0.0


class SequencerIn(_Client):
    """An :class:`appliance.audio.midi.InPort` from all ports whose names contain one of ``names``.

    Raises:
        BachboxError: there is no sequencer.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(_WRITE | _SUBS_WRITE)
        self._names = [name.casefold() for name in names]
        self._lib.snd_seq_set_client_pool_input(self._seq, _POOL_EVENTS)
        self._connected: list[str] = []
        self._has_changed = True
        """Ports came or went since they were looked for."""
        self._look_again_s = 0.0

    def connect(self) -> list[str]:
        # Looking takes long, and this is called after each message.
        now_s = time.monotonic()
        if not self._has_changed and now_s < self._look_again_s:
            return self._connected
        self._has_changed, self._look_again_s = False, now_s + RETRY_S
        wanted = [
            port
            for port in self.ports(_READ | _SUBS_READ)
            if any(name in port.name.casefold() for name in self._names)
        ]
        for port in wanted:
            # Refused where it is connected already.
            self._lib.snd_seq_connect_from(self._seq, self._port, port.client, port.port)
        self._connected = [port.name for port in wanted]
        return self._connected

    def read(self, timeout_s: float) -> list[bytes]:
        events = self._events(timeout_s)
        self._has_changed |= any(kind in _ANNOUNCEMENTS for kind, _ in events)
        return [m for kind, data in events if (m := _unpacked(kind, data)) is not None]


def port_names(*, is_input: bool) -> list[str]:
    """Return the names of the ports that can be heard (``is_input``), or played.

    Raises:
        BachboxError: there is no sequencer.
    """
    client = _Client(0)
    try:
        wanted = _READ | _SUBS_READ if is_input else _WRITE | _SUBS_WRITE
        return [port.name for port in client.ports(wanted)]
    finally:
        client.close()


def _packed(message: bytes) -> tuple[int, bytes]:
    """Return type and data of the event for a message."""
    if message in _REAL_TIME:
        return _REAL_TIME[message], b""
    channel, number = message[0] & 0x0F, message[1]
    match message[0] & 0xF0:
        case 0x90:
            return _EV_NOTE_ON, bytes((channel, number, message[2]))
        case 0x80:
            return _EV_NOTE_OFF, bytes((channel, number, message[2]))
        case 0xB0:
            return _EV_CONTROL, struct.pack("<B3xIi", channel, number, message[2])
    return _EV_PROGRAM, struct.pack("<B3xIi", channel, 0, number)


def _unpacked(kind: int, data: bytes) -> bytes | None:
    """Return the message of an event; None of an event that is not about keys or controllers."""
    if kind in (_EV_NOTE_ON, _EV_NOTE_OFF):
        status = NOTE_ON if kind == _EV_NOTE_ON else NOTE_OFF
        return bytes((status | data[0], data[1], data[2]))
    if kind in (_EV_CONTROL, _EV_PROGRAM):
        channel, number, value = struct.unpack("<B3xIi", data)
        if kind == _EV_PROGRAM:
            return bytes((PROGRAM_CHANGE | channel, value & 0x7F))
        if number < 0x80:
            return bytes((CONTROL_CHANGE | channel, number, value & 0x7F))
    return None


@functools.cache
def _library() -> Any:
    """Return libasound.

    Raises:
        BachboxError: it is not installed.
    """
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError as error:
        raise BachboxError(
            "the library ALSA is missing: run `sudo apt install libasound2`"
        ) from error
    for name in ("snd_strerror", "snd_seq_client_info_get_name", "snd_seq_port_info_get_name"):
        getattr(library, name).restype = ctypes.c_char_p
    library.snd_seq_queue_status_get_real_time.restype = ctypes.c_void_p
    return library
