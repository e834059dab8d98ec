"""The performer's notes as MIDI: collected block by block, and sent with the times they are due.

Every note-on gets its note-off. A note counts as sounding from before its note-on is sent until
its note-off is due, and is written to shared memory. The next performer, or the daemon, releases
the notes that it finds there after a performer has died (:func:`silence`).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from appliance.audio.midi import (
    CC_ALL_NOTES_OFF,
    CC_ALL_SOUND_OFF,
    CC_VOLUME,
    CLOCK,
    CONTINUE,
    NOTE_ON,
    PROGRAM_CHANGE,
    RETRY_S,
    START,
    STOP,
    OutPort,
    Timed,
    control,
    note_off,
)
from appliance.audio.midi.block_clock import BlockClock
from appliance.music.events import TICKS_PER_BEAT

CLOCK_TICKS: Final = TICKS_PER_BEAT // 24
"""MIDI clock has 24 pulses in a quarter note."""

RESET_MESSAGE_S: Final = 0.0015
"""The time for each message when nobody knows what sounds: three bytes take 1 ms on a cable."""

RESET_KEYS: Final = range(21, 109)
"""What may sound then: the keys of a piano."""

LATE_S: Final = 0.1
"""A message may reach the port so much after it is due: the kernel's queue waits for the next tick
of its timer. Until then :meth:`MidiOut.release` may drop a note-off that was due; it repeats it."""

_WARN_INTERVAL_S: Final = 10.0

Key = tuple[int, int]
"""MIDI channel, from 0, and MIDI note number."""

logger = logging.getLogger("appliance.workers.performer_process")


class MidiOut:
    """Sends notes to ``port``, which may be there or not, and come and go.

    Args:
        name: of the port, for messages.
        port: where to.
        channels: the MIDI channels that are used.
        write_sounding: called with the keys that may sound, before they do.
        sounding: what a performer before this one left sounding; None: nobody knows.
        has_clock: whether to send MIDI clock, start and stop.
        has_programs: whether to send program changes.
    """

    def __init__(
        self,
        name: str,
        port: OutPort,
        channels: Iterable[int],
        write_sounding: Callable[[Iterable[Key]], None] = lambda _keys: None,
        sounding: Iterable[Key] | None = (),
        *,
        has_clock: bool = False,
        has_programs: bool = True,
    ) -> None:
        self._name = name
        self._port = port
        self._channels = list(channels)
        self._write_sounding = write_sounding
        self._has_clock = has_clock
        self._has_programs = has_programs
        self._block_clock = BlockClock()
        self._frames = 0
        """How much of the present block is rendered."""
        self._block: list[tuple[int, bytes]] = []
        """The frame and the message of what this block sends."""
        self._held: dict[Key, int] = {}
        """The velocity of each key that the music holds."""
        self._sounding: dict[Key, float | None] = dict.fromkeys(sounding or ())
        """What may sound, and when its note-off is due, if that is sent."""
        self._written: frozenset[Key] = frozenset(self._sounding)
        self._is_unknown = sounding is None
        self._programs: dict[int, int] = {}
        self._volumes: dict[int, int] = {}
        self._was_playing: bool | None = None
        self._mute_until_s = 0.0
        self._warn_again_s = 0.0
        self._is_new = threading.Event()
        """The port has been connected."""
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_connected, name="midi-port", daemon=True)
        if port.connect():
            self._connected()
        else:
            logger.warning("there is no MIDI port %s; it is used as soon as it comes", name)
        self._thread.start()

    def note_on(self, channel: int, key: int, velocity: int) -> None:
        """Begin a note here in the block; one that is held is released first.

        Args:
            channel: from 0.
            key: MIDI note.
            velocity: MIDI velocity; 0, which would release the note, is sent as 1.
        """
        if (channel, key) in self._held:
            self._add(note_off(channel, key))
        self._held[channel, key] = velocity
        self._add(bytes((NOTE_ON | channel, key, max(1, velocity))))

    def note_off(self, channel: int, key: int) -> None:
        """Release the MIDI note ``key`` here in the block; the channel counts from 0."""
        if self._held.pop((channel, key), None) is not None:
            self._add(note_off(channel, key))

    def program(self, channel: int, program: int) -> None:
        """Choose the General MIDI program, 0 to 127, of a channel."""
        if self._programs.get(channel) != program:
            self._programs[channel] = program
            self._add_program(channel)

    def volume(self, channel: int, value: int) -> None:
        """Set the volume of a channel (controller 7), 0 to 127."""
        if self._volumes.get(channel) != value:
            self._volumes[channel] = value
            self._add(control(channel, CC_VOLUME, value))

    def advance(self, frames: int) -> None:
        """Note that ``frames`` of the block are rendered: what follows is as much later."""
        self._frames += frames

    def end_block(
        self, now_s: float, sample_rate: int, ticks: tuple[float, float], *, is_playing: bool
    ) -> None:
        """Send what the block has brought, each message a block later than it began.

        Args:
            now_s: when the block began to be rendered, as ``time.monotonic()`` counts.
            sample_rate: frames per second.
            ticks: where the block begins and ends in the music.
            is_playing: whether the music plays.
        """
        block_s = self._frames / sample_rate
        start_s = self._block_clock.begin(now_s, block_s) + block_s
        if self._has_clock:
            self._add_clock(ticks, is_playing=is_playing)
        messages = [Timed(start_s + f / sample_rate, message) for f, message in self._block]
        self._block, self._frames = [], 0
        if self._is_new.is_set():
            self._is_new.clear()
            messages = self._reset(start_s)
        elif self._mute_until_s:
            if start_s < self._mute_until_s:
                return
            self._mute_until_s = 0.0
            messages = self._restore(start_s)
        if not self._send(messages, now_s):
            if now_s > self._warn_again_s:
                logger.warning("the MIDI port %s is too slow; notes are left out", self._name)
            self._warn_again_s = now_s + _WARN_INTERVAL_S
            self._is_new.set()

    def close(self) -> None:
        """Release what may sound, and give the port up."""
        self._is_closed.set()
        self.release()
        self._port.wake()
        self._thread.join()
        self._port.close()

    def release(self) -> None:
        """Release at once what may sound, whatever was to come."""
        self._port.cancel()
        now_s = time.monotonic()
        ends = [STOP] if self._has_clock and self._was_playing else []
        offs = [note_off(*key) for key in sorted(self._sounding)]
        if self._port.send([Timed(now_s, message) for message in ends + offs]):
            self._held.clear()
            self._sounding.clear()
            self._tell()

    def _keep_connected(self) -> None:
        while not self._is_closed.is_set():
            self._port.wait(RETRY_S)
            if not self._is_closed.is_set() and self._port.connect():
                self._connected()

    def _connected(self) -> None:
        logger.info("plays to the MIDI port %s", self._name)
        self._is_new.set()

    def _add(self, message: bytes) -> None:
        self._block.append((self._frames, message))

    def _add_program(self, channel: int) -> None:
        if self._has_programs:
            self._add(bytes((PROGRAM_CHANGE | channel, self._programs[channel])))

    def _add_clock(self, ticks: tuple[float, float], *, is_playing: bool) -> None:
        if is_playing != self._was_playing:
            first = self._was_playing is None
            self._was_playing = is_playing
            self._block.insert(0, (0, (START if first else CONTINUE) if is_playing else STOP))
        begin, end = ticks
        if is_playing and end > begin:
            pulse = -(-begin // CLOCK_TICKS) * CLOCK_TICKS
            while pulse < end:
                frame = round((pulse - begin) / (end - begin) * self._frames)
                self._block.append((frame, CLOCK))
                pulse += CLOCK_TICKS
            self._block.sort(key=lambda at: at[0])

    def _reset(self, at_s: float) -> list[Timed]:
        """Return what silences a port that was connected just now."""
        if self._is_unknown:
            offs = [note_off(c, key) for c in self._channels for key in RESET_KEYS]
            step_s = RESET_MESSAGE_S
        else:
            offs, step_s = [note_off(*key) for key in sorted(self._sounding)], 0.0
        ends = [control(c, number, 0) for number in (CC_ALL_NOTES_OFF, CC_ALL_SOUND_OFF)
                for c in self._channels]  # fmt: skip
        messages = [Timed(at_s + i * step_s, m) for i, m in enumerate(offs + ends)]
        self._is_unknown = False
        self._mute_until_s = messages[-1].at_s + RESET_MESSAGE_S
        return messages

    def _restore(self, at_s: float) -> list[Timed]:
        """Return what makes a silent port sound as the music is now."""
        self._block, self._frames = [], 0
        if self._has_clock and self._was_playing:
            self._add(CONTINUE)
        for channel in self._programs:
            self._add_program(channel)
        for channel, value in self._volumes.items():
            self._add(control(channel, CC_VOLUME, value))
        for (channel, key), velocity in self._held.items():
            self._add(bytes((NOTE_ON | channel, key, max(1, velocity))))
        restored, self._block = self._block, []
        return [Timed(at_s, message) for _, message in restored]

    def _send(self, messages: list[Timed], now_s: float) -> bool:
        """Send, after the notes are written down that may sound then."""
        if not self._port.is_connected:
            # Nobody knows which note-offs have arrived; all are sent when the port comes back.
            self._sounding = dict.fromkeys(self._sounding)
            return True
        self._sounding = {
            key: off_s
            for key, off_s in self._sounding.items()
            if off_s is None or off_s > now_s - LATE_S
        }
        for _, message in messages:
            if message[0] & 0xF0 == NOTE_ON:
                self._sounding[message[0] & 0x0F, message[1]] = None
        self._tell()
        if not self._port.send(messages):
            return False
        for at_s, message in messages:
            if message[0] & 0xF0 in (NOTE_ON, note_off(0, 0)[0]):
                is_on = message[0] & 0xF0 == NOTE_ON
                key = message[0] & 0x0F, message[1]
                if is_on or key in self._sounding:
                    self._sounding[key] = None if is_on else at_s
        return True

    def _tell(self) -> None:
        now = frozenset(self._sounding)
        if now != self._written:
            self._written = now
            self._write_sounding(now)


def silence(port: OutPort, keys: Iterable[Key]) -> bool:
    """Release ``keys`` (channel from 0, MIDI note) at once; return whether the port was there."""
    with contextlib.closing(port):
        is_there = port.connect()
        if is_there:
            now_s = time.monotonic()
            port.send([Timed(now_s, note_off(*key)) for key in sorted(keys)])
        return is_there
