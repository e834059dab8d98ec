"""A synth that plays on another one, and sends the same notes to a MIDI port."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from appliance.audio.midi.midi_out import MidiOut
from appliance.audio.performer import TEST_TONE_VOICE, Synth
from appliance.audio.synth import VOICE_CHANNELS, amplitude
from appliance.music.codecs.voice_allocation import MAX_VOICES

_VOICES: Final = (*range(2 * MAX_VOICES), TEST_TONE_VOICE)
"""A keyboard has the voices twice, one set for each hand."""

CHANNELS: Final = tuple(VOICE_CHANNELS[voice] for voice in _VOICES)
"""The MIDI channels that are used, from 0."""

_FULL_LEVEL: Final = 100.0


class MidiSynth:
    """Plays on ``synth`` and ``out``; implements :class:`appliance.audio.performer.Synth`."""

    def __init__(self, synth: Synth, out: MidiOut) -> None:
        self._synth = synth
        self._out = out
        self._percent = 0.0
        self._levels = dict.fromkeys(CHANNELS, _FULL_LEVEL)

    def note_on(self, voice: int, pitch: int, velocity: int) -> None:
        self._synth.note_on(voice, pitch, velocity)
        self._out.note_on(VOICE_CHANNELS[voice], pitch, velocity)

    def note_off(self, voice: int, pitch: int) -> None:
        self._synth.note_off(voice, pitch)
        self._out.note_off(VOICE_CHANNELS[voice], pitch)

    def program(self, program: int) -> None:
        self._synth.program(program)
        for channel in CHANNELS:
            self._out.program(channel, program)
            self._levels[channel] = _FULL_LEVEL
        self._send_volumes()

    def voice(self, voice: int, program: int, level: float) -> None:
        self._synth.voice(voice, program, level)
        channel = VOICE_CHANNELS[voice]
        self._out.program(channel, program)
        self._levels[channel] = level
        self._send_volumes()

    def tune(self, cents: Sequence[float]) -> None:
        self._synth.tune(cents)

    def volume(self, percent: float) -> None:
        self._synth.volume(percent)
        self._percent = percent
        self._send_volumes()

    def render(self, frames: int) -> bytes:
        self._out.advance(frames)
        return self._synth.render(frames)

    def _send_volumes(self) -> None:
        for channel, level in self._levels.items():
            # The amplitude is the square of controller 7 (General MIDI 2, "Channel Volume").
            gain = amplitude(self._percent) * amplitude(level)
            self._out.volume(channel, round(127 * math.sqrt(gain)))
