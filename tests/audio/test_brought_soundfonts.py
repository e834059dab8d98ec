"""Soundfonts as people bring them: what they have plays, and silence is never the answer."""

from __future__ import annotations

import io
import logging
import shlex
import struct
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.audio import soundfont, soundfont_check
from appliance.audio import synth as synth_module
from appliance.audio.soundfont import nearest_preset, preset_names
from appliance.audio.soundfont_check import makes_sound
from appliance.audio.soundfont_zones import SoundingPresets
from appliance.audio.synth import FluidSynth
from appliance.cli.check import check
from appliance.cli.instruments import instruments
from appliance.config.loader import Config
from appliance.config.schema import Sound
from appliance.errors import BachboxError
from appliance.offline import doctor_checks, soundfont_report
from tests.support import sine_font
from tests.support.processor_limit import bounded_processor_time

RATE = 48_000
BROUGHT = Path(__file__).parents[1] / "data" / "brought"


def is_heard(font: Path, program: int) -> bool:
    synth = FluidSynth(font, RATE)
    synth.volume(100)
    synth.program(program)
    synth.note_on(0, 69, 100)
    sound = synth.render(RATE // 10)
    synth.close()
    return any(sound)


@pytest.mark.parametrize(("bank", "program"), [(0, 48), (1, 0), (8, 6), (128, 0)])
def test_the_only_preset_plays_for_every_program_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, bank: int, program: int
) -> None:
    font = sine_font.write(tmp_path / "one.sf2", bank, program)
    with caplog.at_level(logging.WARNING):
        assert is_heard(font, 19)
    assert f"its preset {bank}:{program} (Sine) plays instead" in caplog.text


@pytest.mark.parametrize(("bank", "program"), [(0, 128), (0, 200), (16384, 0), (65535, 65535)])
def test_a_font_with_nothing_that_can_be_selected_is_refused(
    tmp_path: Path, bank: int, program: int
) -> None:
    font = sine_font.write(tmp_path / "one.sf2", bank, program)
    with pytest.raises(BachboxError, match="no instruments in it"):
        preset_names(font)


def patched(font: Path, chunk: bytes, at: int, value: int) -> Path:
    """A font with another 16-bit number in one of its chunks."""
    content = bytearray(font.read_bytes())
    struct.pack_into("<H", content, content.index(chunk) + 8 + at, value)
    font.write_bytes(content)
    return font


@pytest.mark.parametrize(
    ("chunk", "at", "value", "reason"),
    [
        pytest.param(b"pbag", 4, 0, "its instruments have no samples", id="zone without generator"),
        pytest.param(b"phdr", 62, 0, "its instruments have no samples", id="preset without zone"),
        pytest.param(b"pgen", 2, 9, "its instruments have no samples", id="no such instrument"),
        pytest.param(b"igen", 6, 9, "its instruments have no samples", id="no such sample"),
        pytest.param(b"shdr", 24, 0, "its instruments have no samples", id="sample of no length"),
        pytest.param(b"shdr", 44, 0x8001, "in the memory of a sound card", id="sample in ROM"),
        pytest.param(b"igen", 0, 43, "makes no sound", id="no key"),
    ],
)
def test_a_font_whose_presets_cannot_sound_is_refused_with_the_reason(
    tmp_path: Path, chunk: bytes, at: int, value: int, reason: str
) -> None:
    font = patched(sine_font.write(tmp_path / "hollow.sf2"), chunk, at, value)
    with pytest.raises(BachboxError, match=f"makes no sound.*{reason}|{reason}"):
        preset_names(font)


def test_a_font_of_silent_samples_is_refused_in_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that has loaded a font must not fork, and this one has.
    monkeypatch.setattr(doctor_checks, "try_soundfont", lambda _path: None)
    monkeypatch.setattr(soundfont_report, "try_soundfont", lambda _path: None)
    font = sine_font.write(tmp_path / "silent.sf2", amplitude=0)
    reason = "makes no sound: all its samples are silent"
    with pytest.raises(BachboxError, match=reason):
        FluidSynth(font, RATE)  # As play, render and a change of the soundfont do.
    with pytest.raises(BachboxError, match=reason):
        list(doctor_checks._check_soundfont(Config(sound=Sound(soundfont=str(font)))))
    shown = CliRunner().invoke(check, [str(font), str(BROUGHT / "f_1_0.sf2")])
    assert reason in shown.output
    assert "its presets are 1:0 Sine" in shown.output


def test_notes_that_give_silence_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # As with a packed sample, which is not examined.
    monkeypatch.setattr(SoundingPresets, "sounds", lambda *_: True)
    font = sine_font.write(tmp_path / "silent.sf2", amplitude=0)
    assert not makes_sound(font, 0)
    synth = FluidSynth(font, RATE)
    synth.volume(100)
    synth.program(0)
    synth.render(6 * RATE)
    assert caplog.text == "", "no note was played"
    synth.note_on(0, 69, 100)
    for _ in range(3):
        synth.render(3 * RATE)
    assert caplog.text.count("makes no sound for the instrument that plays") == 1
    synth.close()


def test_tables_that_point_to_the_same_rows_again_and_again_take_no_time() -> None:
    rows, bags = 1000, 1000
    tables = {
        b"phdr": b"".join(bytes(24) + struct.pack("<H12x", bags * (n % 2)) for n in range(rows)),
        b"pbag": b"".join(struct.pack("<HH", 60_000 * (n % 2), 0) for n in range(bags)),
        b"pgen": struct.pack("<HH", 41, 0) * 60_000,
        b"inst": bytes(20) + struct.pack("<H", 0) + bytes(20) + struct.pack("<H", bags),
        b"ibag": b"".join(struct.pack("<HH", 60_000 * (n % 2), 0) for n in range(bags)),
        b"igen": struct.pack("<HH", 53, 0) * 60_000,
        b"shdr": bytes(92),
    }
    with bounded_processor_time():
        examined = SoundingPresets(io.BytesIO(), tables, (0, 0))
        [examined.sounds(row) for row in range(rows)]


def test_a_dls_file_with_another_suffix_is_named(tmp_path: Path) -> None:
    font = tmp_path / "gm.sf2"
    font.write_bytes(b"RIFF" + struct.pack("<I", 4) + b"DLS ")
    with pytest.raises(BachboxError, match=r"not a soundfont \(a DLS or GigaSampler file\)"):
        preset_names(font)


def test_bytes_behind_the_end_of_a_font_are_named_with_what_removes_them(tmp_path: Path) -> None:
    font = sine_font.write(tmp_path / "a font.sf2", 0, 0)
    size = font.stat().st_size
    with font.open("ab") as file:
        file.write(bytes(999))
    with pytest.raises(BachboxError, match="has 999 bytes behind its end") as refusal:
        preset_names(font)
    command = str(refusal.value).split("`")[1]
    subprocess.run(shlex.split(command), check=True)
    assert font.stat().st_size == size
    assert is_heard(font, 0)


@pytest.mark.parametrize("name", ["f_0_0.sf2", "f_0_48.sf2", "f_1_0.sf2"])
def test_fonts_with_one_preset_are_heard(name: str) -> None:
    assert is_heard(BROUGHT / name, 0)
    assert len(preset_names(BROUGHT / name)) == 1


def test_an_instrument_that_the_font_has_gives_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert is_heard(sine_font.write(tmp_path / "one.sf2", 0, 19), 19)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("available", "program", "nearest"),
    [
        ({(0, 19), (8, 19)}, 19, (0, 19)),
        ({(0, 16), (0, 23), (0, 24)}, 22, (0, 23)),
        ({(0, 23), (0, 24), (0, 31)}, 25, (0, 24)),
        ({(0, 0), (8, 6)}, 6, (0, 0)),
        ({(8, 6), (128, 0)}, 0, (8, 6)),
        ({(128, 0)}, 40, (128, 0)),
        ({(1, 0), (2, 0)}, 0, (1, 0)),
    ],
)
def test_the_nearest_preset(
    available: set[tuple[int, int]], program: int, nearest: tuple[int, int]
) -> None:
    assert nearest_preset(available, program) == nearest


@pytest.mark.parametrize(("suffix", "share", "is_large"), [
    (".sf2", 0.4, False), (".sf2", 0.6, True), (".sf3", 0.1, True), (".sf3", 0.05, False),
])  # fmt: skip
def test_of_a_font_that_is_large_for_the_memory_only_the_instrument_is_loaded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    share: float,
    is_large: bool,
) -> None:
    font = sine_font.write(tmp_path / f"one{suffix}")
    free = round(font.stat().st_size / share)
    monkeypatch.setattr(soundfont, "free_memory_bytes", lambda: free)
    assert is_heard(font, 0)
    assert ("large for the free memory" in caplog.text) == is_large


def test_the_free_memory_is_read() -> None:
    assert 1 << 20 < soundfont.free_memory_bytes() < 1 << 50


def test_the_instruments_command_names_the_presets_of_other_banks(tmp_path: Path) -> None:
    font = sine_font.write(tmp_path / "one.sf2", 8, 6)
    shown = CliRunner().invoke(instruments, ["--soundfont", str(font)])
    assert shown.exit_code == 0
    assert "8:6  Sine" in shown.output


def test_the_wrong_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synth_module._library.cache_clear()
    monkeypatch.setitem(sys.modules, "fluidsynth", types.ModuleType("fluidsynth"))
    font = sine_font.write(tmp_path / "one.sf2")
    with pytest.raises(BachboxError, match=r"package fluidsynth is installed.*pip uninstall"):
        FluidSynth(font, RATE)
    synth_module._library.cache_clear()


SLOW = [("slow.sf3", "an .sf2 file loads faster"), ("SLOW.SF2", "a smaller soundfont loads faster")]


@pytest.mark.parametrize(("name", "advice"), SLOW)
def test_slow_loading_is_told_with_what_loads_faster(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    advice: str,
) -> None:
    font = tmp_path / name
    with soundfont.warn_if_slow(font):
        pass
    assert caplog.text == ""
    monkeypatch.setattr(soundfont, "SLOW_LOAD_S", 0)
    told = threading.Event()
    warned: list[str] = []

    def warn(message: str, *values: object) -> None:
        warned.append(message % values)
        told.set()

    monkeypatch.setattr(soundfont.logger, "warning", warn)
    with soundfont.warn_if_slow(font):
        assert told.wait(60)
    assert warned == [f"loading the soundfont {font} takes a while; {advice}"]


@pytest.mark.parametrize(("name", "advice"), SLOW)
def test_a_font_that_is_never_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, advice: str
) -> None:
    monkeypatch.setattr(soundfont_check, "_TIMEOUT_S", 1)
    monkeypatch.setattr(synth_module, "FluidSynth", lambda *_: time.sleep(60))
    with pytest.raises(BachboxError, match=f"not loaded after 1 s; .*{advice}"):
        soundfont_check.try_soundfont(tmp_path / name)
