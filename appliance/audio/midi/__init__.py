"""MIDI ports: where the notes go beside the sound, and where knobs and keys come from.

A port is named in the config by a part of the name that ALSA's sequencer gives it, or by the path
of a raw device (``/dev/snd/midiC1D0``, a serial line). Each kind is one module here with the same
two protocols; :mod:`appliance.audio.midi.memory_ports` has ports for programs without devices.

Messages are bytes as on the wire (MIDI 1.0 Detailed Specification), one whole message each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

NOTE_OFF: Final = 0x80
NOTE_ON: Final = 0x90
CONTROL_CHANGE: Final = 0xB0
PROGRAM_CHANGE: Final = 0xC0
CLOCK: Final = b"\xf8"
START: Final = b"\xfa"
CONTINUE: Final = b"\xfb"
STOP: Final = b"\xfc"

CC_VOLUME: Final = 7
CC_ALL_SOUND_OFF: Final = 120
CC_ALL_NOTES_OFF: Final = 123

MIDI_CHANNELS: Final = 16
KEYS: Final = 128

RETRY_S: Final = 1.0
"""How often a port that is not there is looked for where nothing tells that it has come."""


class Timed(NamedTuple):
    """A message, and when it is due."""

    at_s: float
    """On the clock of ``time.monotonic()``; a time that has passed means at once."""
    message: bytes


class OutPort(Protocol):
    """Where messages go. ``send`` is called by one thread, the rest by another."""

    @property
    def is_connected(self) -> bool:
        """Whether the port is there."""

    def connect(self) -> bool:
        """Connect if need be and possible; return whether it is connected since this call."""

    def wait(self, timeout_s: float) -> None:
        """Wait until ports came or went, at most for ``timeout_s``."""

    def wake(self) -> None:
        """Let :meth:`wait` return at once, now and from now on."""

    def send(self, messages: Sequence[Timed]) -> bool:
        """Send messages, in the order of their times, each when it is due; never blocks.

        Returns:
            Whether all were taken.
        """

    def cancel(self) -> None:
        """Forget what was sent and is not due yet."""

    def close(self) -> None:
        """Give the port up; what is not due yet is not sent."""


class InPort(Protocol):
    """Where messages come from; used by one thread."""

    def connect(self) -> list[str]:
        """Connect to what is there; return the names of the ports that are connected now."""

    def read(self, timeout_s: float) -> list[bytes]:
        """Return the messages that have come, as soon as there are any or ports came or went."""

    def close(self) -> None:
        """Give the port up."""


def open_out(name: str) -> OutPort:
    """Return a port that sends to ``name``, which need not be there yet.

    Raises:
        BachboxError: this machine has no ALSA sequencer.
    """
    if name.startswith("/"):
        from appliance.audio.midi.raw_device import RawOut

        return RawOut(name)
    from appliance.audio.midi.alsa_sequencer import SequencerOut

    return SequencerOut(name)


def open_in(names: Sequence[str]) -> InPort:
    """Return a port that hears all of ``names``, which need not be there yet.

    Args:
        names: parts of the names of ports, or the path of one raw device.

    Raises:
        BachboxError: this machine has no ALSA sequencer.
    """
    if names[0].startswith("/"):
        from appliance.audio.midi.raw_device import RawIn

        return RawIn(names[0])
    from appliance.audio.midi.alsa_sequencer import SequencerIn

    return SequencerIn(names)


def note_off(channel: int, key: int) -> bytes:
    """The message that releases a MIDI note; the channel counts from 0."""
    return bytes((NOTE_OFF | channel, key, 64))


def control(channel: int, number: int, value: int) -> bytes:
    """The message that sets a controller, 0 to 127 as its value; the channel counts from 0."""
    return bytes((CONTROL_CHANGE | channel, number, value))
