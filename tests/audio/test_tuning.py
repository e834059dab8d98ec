"""Temperament and concert pitch, measured in the spectrum of what FluidSynth plays."""

from __future__ import annotations

import ctypes
import math
from ctypes.util import find_library
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.audio.synth import FluidSynth
from appliance.errors import BachboxError
from appliance.music.events import Event, NoteOn
from appliance.music.files import midi_writer
from appliance.music.temperament import NAMES, key_cents
from tests.support import sine_font
from tests.support.spectrum import stereo

RATE = 48_000
A_KEY = 69


@pytest.fixture(scope="module")
def sine(tmp_path_factory: pytest.TempPathFactory) -> FluidSynth:
    font = sine_font.write(tmp_path_factory.mktemp("font") / "sine.sf2")
    synth = FluidSynth(font, RATE)
    synth.volume(100)
    synth.program(0)
    return synth


def peak_hz(sound: NDArray[Any]) -> float:
    """The frequency of a sine, by a parabola through the spectrum's peak."""
    mono = sound.astype(float).sum(axis=1)
    size = 4 * len(mono)
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size))
    at = int(power.argmax())
    left, top, right = np.log(power[at - 1 : at + 2])
    return float(at + (left - right) / (left - 2 * top + right) / 2) * RATE / size


def heard_hz(synth: FluidSynth, key: int, voice: int = 0) -> float:
    synth.note_on(voice, key, 100)
    synth.render(RATE // 20)
    hertz = peak_hz(stereo(synth.render(RATE)))
    synth.note_off(voice, key)
    synth.render(RATE)
    return hertz


def cents_between(low_hz: float, high_hz: float) -> float:
    return 1200 * math.log2(high_hz / low_hz)


@pytest.mark.parametrize("temperament", NAMES)
def test_every_note_of_a_temperament_is_within_a_cent(sine: FluidSynth, temperament: str) -> None:
    for a_hz in (440.0, 415.0):
        wanted = key_cents(temperament, a_hz)
        sine.tune(wanted)
        for key in (*range(60, 72), 40, 52, 81):
            hertz = heard_hz(sine, key)
            wanted_hz = 440 * 2 ** ((wanted[key] - 6900) / 1200)
            assert abs(cents_between(wanted_hz, hertz)) < 1, (a_hz, key)


@pytest.mark.parametrize("a_hz", [392.0, 415.0, 440.0, 466.0])
def test_the_concert_pitch_is_within_a_cent_in_every_voice(sine: FluidSynth, a_hz: float) -> None:
    for temperament in NAMES:
        sine.tune(key_cents(temperament, a_hz))
        for voice in range(4):
            assert abs(cents_between(a_hz, heard_hz(sine, A_KEY, voice))) < 1


def test_sounding_notes_are_retuned(sine: FluidSynth) -> None:
    sine.tune(key_cents("equal", 440))
    sine.note_on(0, A_KEY, 100)
    sine.render(RATE // 4)
    for a_hz in (415.0, 466.0, 440.0):
        sine.tune(key_cents("vallotti", a_hz))
        sine.render(RATE // 50)
        assert abs(cents_between(a_hz, peak_hz(stereo(sine.render(RATE // 2))))) < 1
    sine.note_off(0, A_KEY)
    sine.render(RATE)


def test_the_default_font_can_be_tuned(soundfont: Path) -> None:
    synth = FluidSynth(soundfont, RATE)
    synth.volume(100)
    synth.program(16)
    as_it_comes = heard_hz(synth, A_KEY)
    synth.tune(key_cents("equal", 440))
    assert abs(cents_between(as_it_comes, heard_hz(synth, A_KEY))) < 0.1
    synth.tune(key_cents("meantone", 415))
    lowered = cents_between(as_it_comes, heard_hz(synth, A_KEY))
    assert abs(lowered - cents_between(440, 415)) < 1


@pytest.mark.parametrize(
    "function", ["fluid_synth_activate_key_tuning", "fluid_synth_activate_tuning"]
)
def test_a_library_that_cannot_tune_is_reported(
    sine: FluidSynth, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sine._fl, function, lambda *_: -1)
    with pytest.raises(BachboxError, match="cannot be tuned"):
        sine.tune(key_cents("equal", 440))


@pytest.mark.parametrize("temperament", ["vallotti", "meantone"])
def test_a_midi_file_has_its_tuning_in_the_midi_tuning_standard(
    tmp_path: Path, temperament: str
) -> None:
    """FluidSynth understands the same messages."""
    wanted = key_cents(temperament, 415)
    path = tmp_path / "tuned.mid"
    keys = (69, 68, 63, 57)
    # A channel is tuned where its voice has notes.
    notes: list[Event] = [NoteOn(0, voice, key, 100) for voice, key in enumerate(keys)]
    midi_writer.write(path, notes, tempo_bpm=80, program=0, title="", cents=wanted)
    synth = FluidSynth(sine_font.write(tmp_path / "sine.sf2"), RATE)
    synth.volume(100)
    synth.program(0)
    for message in [m for track in mido.MidiFile(path).tracks for m in track]:
        if message.type == "sysex":
            data, handled = bytes(message.data), ctypes.c_int()
            sysex = ctypes.CDLL(find_library("fluidsynth")).fluid_synth_sysex
            sysex(ctypes.c_void_p(synth._synth), data, len(data), None, None,
                  ctypes.byref(handled), 0)  # fmt: skip
            assert handled.value
        elif message.type == "control_change":
            synth._fl.fluid_synth_cc(synth._synth, message.channel, message.control, message.value)
    for voice, key in enumerate(keys):
        wanted_hz = 440 * 2 ** ((wanted[key] - 6900) / 1200)
        # FluidSynth plays whole cents, and does not round these.
        assert abs(cents_between(wanted_hz, heard_hz(synth, key, voice))) < 1.2
