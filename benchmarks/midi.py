"""How evenly MIDI goes out, and how soon a foot switch is heard.

Through ALSA's sequencer where this machine has it, otherwise through pipes in place of raw devices.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from appliance.audio import midi
from appliance.audio.midi import CLOCK, CONTINUE, STOP, InPort, OutPort, Timed, control
from appliance.errors import BachboxError
from benchmarks import measure
from benchmarks.listening import SETTLE_S, p95
from benchmarks.measure import FailedError
from benchmarks.report import Row
from benchmarks.running_player import TIMEOUT_S, playing
from tests.support.virtual_card import VirtualCard

THROUGH: Final = "Midi Through"
"""ALSA's port that gives out what it is sent."""

WINDOW_S: Final = 60.0
QUICK_WINDOW_S: Final = 10.0
PRESSES: Final = 40
QUICK_PRESSES: Final = 6
LATENCY_BAR_S: Final = 0.1
JITTER_BAR_S: Final = 0.002
PULSES_PER_BEAT: Final = 24
"""Of MIDI clock, in a quarter note (MIDI 1.0)."""

_SWITCH: Final = 64


class _Listener:
    """Hears MIDI out, with the moment of each message."""

    def __init__(self, port: InPort) -> None:
        self._port = port
        self.heard: list[tuple[float, bytes]] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self.ended.is_set():
            self._port.connect()
            messages = self._port.read(0.5)
            now = time.monotonic()
            self.heard += [(now, message) for message in messages]

    def close(self) -> None:
        self.ended.set()
        self._thread.join()
        self._port.close()

    def moment_of(self, message: bytes, after_s: float) -> float:
        """When ``message`` came, at the earliest at ``after_s``.

        Raises:
            FailedError: it does not come.
        """
        while time.monotonic() < after_s + TIMEOUT_S:
            for at_s, heard in list(self.heard)[-2000:]:
                if at_s >= after_s and heard == message:
                    return at_s
            time.sleep(0.002)
        raise FailedError(f"the message {message.hex()} did not go out")


@contextlib.contextmanager
def _ports(folder: Path) -> Iterator[tuple[str, str, _Listener, OutPort, str]]:
    """The box's out and in, who listens to the one and writes to the other, and what they are."""
    out, into = str(folder / "midi-out"), str(folder / "midi-in")
    how = "pipes in place of raw devices"
    with contextlib.ExitStack() as stack:
        for path in (out, into):
            Path(path).unlink(missing_ok=True)
            os.mkfifo(path)
        try:
            ears = midi.open_in([THROUGH])
            # One goes through the sequencer, so that each hears only the other.
            out, how = THROUGH, f"ALSA's sequencer, port {THROUGH}"
        except BachboxError:
            ears = midi.open_in([out])
        # Somebody has to read and write for as long as the box lives.
        stack.callback(os.close, os.open(into, os.O_RDWR))
        listener = _Listener(ears)
        stack.callback(listener.close)
        hand = midi.open_out(into)
        hand.connect()
        stack.callback(hand.close)
        yield out, into, listener, hand, how


def rows(card: VirtualCard) -> list[Row]:
    """The evenness of MIDI clock, and from a foot switch to the music's end."""
    with _ports(card.folder) as (out, into, listener, hand, how):
        config = (
            f'[midi]\nout_port = "{out}"\nin_ports = ["{into}"]\nclock = true\n'
            f'buttons = {{ {_SWITCH} = "playing" }}\n[music]\ntempo_bpm = 120\nexpression = 0\n'
        )
        with playing(card, 1, config) as player:
            player.attach()
            listener.moment_of(CLOCK, time.monotonic())
            with measure.step("MIDI clock"):
                measure.wait(SETTLE_S)
                began_s = time.monotonic()
                measure.wait(measure.amount(WINDOW_S, QUICK_WINDOW_S))
                pulses = [at_s for at_s, m in listener.heard if m == CLOCK and at_s > began_s]
            with measure.step("a foot switch"):
                delays = list(_presses(listener, hand))
    return [_clock_row(pulses, how), _switch_row(delays, how)]


def _presses(listener: _Listener, hand: OutPort) -> Iterator[float]:
    """From a press to the message that the music stops, or continues."""
    for press in range(measure.count(PRESSES, QUICK_PRESSES)):
        pressed_s = time.monotonic()
        hand.send([Timed(0.0, control(0, _SWITCH, 127)), Timed(0.0, control(0, _SWITCH, 0))])
        yield listener.moment_of(CONTINUE if press % 2 else STOP, pressed_s) - pressed_s
        time.sleep(0.1)


def _clock_row(pulses: list[float], how: str) -> Row:
    # Between two pieces the tempo may change, so only a beat is looked at as a whole.
    late: list[float] = []
    numbers = np.arange(PULSES_PER_BEAT)
    for first in range(0, len(pulses) - PULSES_PER_BEAT, PULSES_PER_BEAT):
        beat = np.array(pulses[first : first + PULSES_PER_BEAT])
        line = np.polyfit(numbers, beat, 1)
        late += np.abs(beat - np.polyval(line, numbers)).tolist()
    if len(late) < 4 * PULSES_PER_BEAT:
        raise FailedError(f"only {len(pulses)} pulses of MIDI clock came")
    return Row(
        "MIDI out: a pulse of its clock before or after its moment",
        f"p95 {1e3 * p95(late):.2f} ms, median {1e3 * statistics.median(late):.2f} ms, "
        f"most {1e3 * max(late):.1f} ms",
        f"p95 ≤ {1e3 * JITTER_BAR_S:g} ms",
        p95(late) <= JITTER_BAR_S,
        f"{len(late)} pulses, 24 a quarter note at 120 a minute, beat by beat; {how}",
    )


def _switch_row(delays: list[float], how: str) -> Row:
    return Row(
        "MIDI in and out: from a foot switch to the music's stop",
        f"p95 {1e3 * p95(delays):,.0f} ms, median {1e3 * statistics.median(delays):,.0f} ms",
        f"p95 ≤ {1e3 * LATENCY_BAR_S:,.0f} ms",
        p95(delays) <= LATENCY_BAR_S,
        f"{len(delays)} presses; {how}",
    )
