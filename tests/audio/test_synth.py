"""FluidSynth: the right pitches, no clicks, and one sentence for a bad soundfont."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.audio.soundfont import check, presets
from appliance.audio.synth import FluidSynth
from appliance.errors import BachboxError
from tests.support import sine_font
from tests.support.spectrum import frequency_hz, stereo

RATE = 48_000


@pytest.fixture
def synth(soundfont: Path) -> FluidSynth:
    synth = FluidSynth(soundfont, RATE)
    synth.volume(100)
    synth.program(19)
    return synth


@pytest.mark.parametrize(("pitch", "hertz"), [(69, 440.0), (60, 261.63), (48, 130.81)])
def test_a_note_has_its_pitch(synth: FluidSynth, pitch: int, hertz: float) -> None:
    synth.program(73)
    synth.note_on(0, pitch, 90)
    synth.render(RATE // 4)
    sound = stereo(synth.render(RATE))
    assert abs(frequency_hz(sound, RATE) / hertz - 1) < 0.01, "within a sixth of a semitone"


def test_the_sample_rate_does_not_change_the_pitch(soundfont: Path) -> None:
    for rate in (44_100, 96_000):
        synth = FluidSynth(soundfont, rate)
        synth.volume(100)
        synth.program(73)
        synth.note_on(0, 69, 90)
        synth.render(rate // 4)
        assert abs(frequency_hz(stereo(synth.render(rate)), rate) / 440 - 1) < 0.01


def test_a_released_note_dies_away(synth: FluidSynth) -> None:
    synth.note_on(0, 60, 90)
    loud = np.abs(stereo(synth.render(RATE))).max()
    synth.note_off(0, 60)
    synth.render(4 * RATE)
    assert np.abs(stereo(synth.render(RATE))).max() < loud / 300


def test_soprano_is_left_and_bass_is_right_of_the_middle(
    synth: FluidSynth,
) -> None:
    balances = []
    for voice in range(4):
        synth.note_on(voice, 60, 90)
        power = (stereo(synth.render(RATE)).astype(float) ** 2).mean(axis=0)
        synth.note_off(voice, 60)
        synth.render(4 * RATE)
        balances.append(power[0] / power.sum())
    assert balances == sorted(balances, reverse=True), "left to right"
    assert 0.5 < balances[0] < 0.9
    assert 0.1 < balances[3] < 0.5


def test_a_jump_of_the_volume_does_not_click(synth: FluidSynth) -> None:
    synth.program(73)
    synth.note_on(0, 60, 100)
    synth.render(RATE)
    steady = np.abs(np.diff(stereo(synth.render(RATE)).astype(int), 2, axis=0)).max()
    for percent in (0, 100, 30, 100):
        synth.volume(percent)
        change = stereo(synth.render(4096)).astype(int)
        assert np.abs(np.diff(change, 2, axis=0)).max() < 3 * steady + 30


def test_every_percent_of_volume_is_heard_and_half_of_it_is_half_as_loud(tmp_path: Path) -> None:
    # The same sound twice; the level is that of the one against that of the other.
    font = sine_font.write(tmp_path / "sine.sf2")
    changed, full = FluidSynth(font, RATE), FluidSynth(font, RATE)
    for synth in (changed, full):
        synth.program(0)
        synth.volume(100)
        for voice in range(3):
            synth.note_on(voice, 65 + 4 * voice, 120)
        synth.render(RATE)
    levels_db = []
    for percent in range(100, 0, -1):
        changed.volume(percent)
        sounds = [(synth.render(2400), synth.render(2400))[1] for synth in (changed, full)]
        powers = [(stereo(sound).astype(float) ** 2).mean() for sound in sounds]
        levels_db.append(10 * np.log10(powers[0] / powers[1]))
    steps_db = -np.diff(levels_db)
    assert (steps_db > 0.1).all(), "each percent is louder than the one before"
    assert (steps_db < 4.5).all(), "and none is a jump"
    assert levels_db[0] - levels_db[50] == pytest.approx(10, abs=0.5), "10 dB: half as loud"
    assert levels_db[0] - levels_db[99] < 55, "volume 1 is soft, and not silent"
    changed.volume(0)
    changed.render(RATE)
    assert np.abs(stereo(changed.render(RATE))).max() <= 2, "volume 0 is silence"


def test_the_size_of_blocks_does_not_change_the_sound(soundfont: Path) -> None:
    def render(blocks: list[int]) -> bytes:
        synth = FluidSynth(soundfont, RATE)
        synth.volume(70)
        synth.program(19)
        synth.note_on(0, 60, 90)
        return b"".join(synth.render(frames) for frames in blocks)

    assert render([1024] * 10) == render([1, 63, 1000, 24, 4096, 5056])


def test_four_voices_of_any_instrument_stay_below_full_scale(synth: FluidSynth) -> None:
    for program in range(0, 128, 5):
        synth.program(program)
        for voice, pitch in enumerate((72, 67, 60, 48)):
            synth.note_on(voice, pitch, 90)
        assert np.abs(stereo(synth.render(RATE // 4)).astype(int)).max() < 32_000
        for voice, pitch in enumerate((72, 67, 60, 48)):
            synth.note_off(voice, pitch)
        synth.render(RATE // 2)


def test_the_default_font_has_all_of_general_midi(soundfont: Path) -> None:
    assert {(0, program) for program in range(128)} <= presets(soundfont)


def test_a_text_file_is_not_a_soundfont(tmp_path: Path) -> None:
    file = tmp_path / "notes.sf2"
    file.write_text("Dear diary, today I bought an organ.\n" * 9)
    with pytest.raises(BachboxError) as caught:
        FluidSynth(file, RATE)
    sentence = str(caught.value)
    assert str(file) in sentence
    assert "is not a soundfont" in sentence
    assert ".sf2" in sentence
    assert "\n" not in sentence


def test_missing_truncated_and_empty_soundfonts_are_refused(
    tmp_path: Path, soundfont: Path
) -> None:
    with pytest.raises(BachboxError, match="there is no soundfont"):
        check(tmp_path / "none.sf2")
    with pytest.raises(BachboxError, match="cannot be read"):
        check(tmp_path)
    cut = tmp_path / "cut.sf2"
    cut.write_bytes(soundfont.read_bytes()[:100_000])
    with pytest.raises(BachboxError, match="cut short"):
        check(cut)
    hollow = tmp_path / "hollow.sf2"
    hollow.write_bytes(b"RIFF\x04\0\0\0sfbk")
    with pytest.raises(BachboxError, match="no instruments"):
        check(hollow)


def test_a_soundfont_that_fluidsynth_refuses_gives_the_librarys_reason(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    row = struct.pack("<20sHHHIII", b"Organ", 19, 0, 0, 0, 0, 0)
    phdr = b"phdr" + struct.pack("<I", 2 * len(row)) + row + row
    pdta = b"LIST" + struct.pack("<I", 4 + len(phdr)) + b"pdta" + phdr
    body = b"sfbk" + pdta
    file = tmp_path / "fake.sf2"
    file.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert presets(file) == {(0, 19)}
    with pytest.raises(BachboxError, match=r"FluidSynth cannot load the soundfont .*fake\.sf2 \("):
        FluidSynth(file, RATE)
    assert capfd.readouterr().err == "", "the library speaks through our sentence only"


@given(noise=st.binary(max_size=400), riff=st.booleans())
def test_random_bytes_are_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, riff: bool
) -> None:
    file = tmp_path_factory.getbasetemp() / "noise.sf2"
    head = b"RIFF" + struct.pack("<I", len(noise) + 4) + b"sfbk" if riff else b""
    file.write_bytes(head + noise)
    with pytest.raises(BachboxError):
        check(file)


@given(data=st.data())
def test_damaged_chunks_are_refused_or_give_another_table(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    row = struct.pack("<20sHHHIII", b"Organ", 19, 0, 0, 0, 0, 0)
    phdr = b"phdr" + struct.pack("<I", 2 * len(row)) + row + row
    body = b"sfbk" + b"LIST" + struct.pack("<I", 4 + len(phdr)) + b"pdta" + phdr
    content = bytearray(b"RIFF" + struct.pack("<I", len(body)) + body)
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=5)):
        content[at] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.sf2"
    file.write_bytes(content)
    try:
        assert len(presets(file)) == 1
    except BachboxError as error:
        assert "\n" not in str(error)


def test_a_missing_library_is_reported_with_a_remedy(soundfont: Path) -> None:
    program = (
        "import ctypes.util, sys\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from pathlib import Path\n"
        "from appliance.errors import BachboxError\n"
        "from appliance.audio.synth import FluidSynth\n"
        "try:\n"
        "    FluidSynth(Path(sys.argv[1]), 48000)\n"
        "except BachboxError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(soundfont)], capture_output=True, text=True, check=True
    )
    assert "sudo apt install libfluidsynth3" in done.stdout
