"""The commands do what their help says."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import mido
import pytest

from appliance.music.files import piece_embedding
from appliance.state.general_midi import NAMES
from tests.support.command import BACHBOX, NO_CARD, bachbox, home, playing


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return home(tmp_path)


def test_help_and_version(env: dict[str, str]) -> None:
    assert "play" in bachbox(env=env).out
    assert bachbox("--version", env=env).code == 0
    for verb in ("play", "render", "models", "instruments", "doctor", "config", "train"):
        assert bachbox(verb, "--help", env=env).out.startswith(f"Usage: bachbox {verb}")


def test_help_imports_nothing_heavy(env: dict[str, str]) -> None:
    code = (
        "import sys\n"
        "from appliance.cli import run\n"
        "run(['--help'])\n"
        "heavy = {'numpy', 'asyncio', 'fluidsynth', 'mido', 'msgspec', 'tflite_runtime'}\n"
        "sys.exit(f'imported {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([BACHBOX[0], "-c", code], check=True, stdout=subprocess.DEVNULL, env=env)


def test_render_writes_complete_wav_and_midi_files(env: dict[str, str], tmp_path: Path) -> None:
    sound, score = tmp_path / "a.wav", tmp_path / "a.mid"
    done = bachbox("render", sound, score, "--seconds", 12.5, "--seed", 3, "--json", env=env)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    with wave.open(str(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        assert file.getnframes() == 12.5 * file.getframerate()
        assert max(file.readframes(file.getnframes())) > 0
    notes = [m for track in mido.MidiFile(score).tracks for m in track if m.type == "note_on"]
    assert len(notes) == facts["notes"] > 20
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "a.mid"}


def test_seed_determines_the_music(env: dict[str, str], tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        score = tmp_path / f"{name}.mid"
        assert bachbox("render", score, "--seconds", 20, "--seed", seed, env=env).code == 0
    first, again, other = (_notes(tmp_path / f"{name}.mid") for name in "abc")
    assert first == again
    assert first != other


def test_render_pieces_stops_after_the_last_one(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "two.mid"
    done = bachbox("render", score, "--pieces", 2, "--seed", 5, "--json", env=env)
    assert json.loads(done.out)["pieces"] == 2
    markers = [m for track in mido.MidiFile(score).tracks for m in track if m.type == "marker"]
    assert len(markers) == 2


def test_render_options_reach_the_music(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "fast.mid"
    options = ("--tempo", 200, "--expression", 0, "--instrument", "flute", "--pieces", 1)
    assert bachbox("render", score, *options, "--seed", 3, env=env).code == 0
    messages = [m for track in mido.MidiFile(score).tracks for m in track]
    programs = {m.program for m in messages if m.type == "program_change"}
    tempos = {m.tempo for m in messages if m.type == "set_tempo"}
    assert programs == {73}
    # A slow or quick piece keeps its relation to the tempo that is set.
    piece = piece_embedding.read(score).piece
    assert tempos == {mido.bpm2tempo(200 * piece.tempo_permille / 1000)}


def test_render_expression_shapes_velocity_and_tempo(env: dict[str, str], tmp_path: Path) -> None:
    page, played = tmp_path / "page.mid", tmp_path / "played.mid"
    for score, percent in ((page, 0), (played, 60)):
        options = ("--expression", percent, "--pieces", 1, "--seed", 7)
        assert bachbox("render", score, *options, env=env).code == 0
    assert _notes(page) == _notes(played), "the same notes at the same ticks"
    messages = [m for track in mido.MidiFile(page).tracks for m in track]
    assert {m.velocity for m in messages if m.type == "note_on"} == {80}
    assert len({m.tempo for m in messages if m.type == "set_tempo"}) == 1
    shades = {m.velocity for track in mido.MidiFile(played).tracks for m in track
              if m.type == "note_on"}  # fmt: skip
    assert len(shades) > 8
    assert mido.MidiFile(played).length > mido.MidiFile(page).length


def test_render_writes_the_tuning(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "tuned.mid"
    options = ("--temperament", "Vallotti", "--pitch", 415, "--seconds", 5)
    assert bachbox("render", score, *options, env=env).code == 0
    assert any(m.type == "sysex" for track in mido.MidiFile(score).tracks for m in track)


def test_prime_opens_the_first_piece(env: dict[str, str], tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.mid", tmp_path / "theirs.mid"
    bachbox("render", mine, "--seconds", 15, "--seed", 3, env=env)
    done = bachbox("render", theirs, "--seconds", 30, "--seed", 9, "--prime", mine, env=env)
    assert done.code == 0, done.err
    opening, continued = _notes(mine), _notes(theirs)
    assert [pitch for _, pitch in continued[:20]] == [pitch for _, pitch in opening[:20]]
    assert len(continued) > len(opening)


def test_listings_in_text_and_json(env: dict[str, str]) -> None:
    assert "chorales" in bachbox("models", env=env).out
    models = json.loads(bachbox("models", "--json", env=env).out)
    assert {"name", "tempo_bpm", "licence", "path"} <= models[0].keys()
    listed = json.loads(bachbox("instruments", "--json", env=env).out)
    assert [row["name"] for row in listed] == list(NAMES)
    assert all(row["in_soundfont"] for row in listed)
    assert "Church Organ" in bachbox("instruments", env=env).out


def test_model_file_put_into_a_folder_is_found(env: dict[str, str], tmp_path: Path) -> None:
    models = json.loads(bachbox("models", "--json", env=env).out)
    content = Path(models[0]["path"]).read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my own.tflite").write_bytes(content)
    config = tmp_path / "c.toml"
    config.write_text('[music]\nmodels_folder = "mine"\nmodel = "my own"\n')
    listed = json.loads(bachbox("models", "--config", config, "--json", env=env).out)
    assert "my own" in [row["name"] for row in listed]
    score = tmp_path / "x.mid"
    assert bachbox("render", score, "--seconds", 2, "--config", config, env=env).code == 0


def test_config_prints_the_effective_config(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "config" / "bachbox" / "bachbox.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[music]\ninstrument = "church"\ntempo_bpm = 66\n')
    shown = json.loads(bachbox("config", "--json", env=env).out)
    assert shown["file"] == str(path)
    assert shown["music"]["instrument"] == "Church Organ"
    assert shown["music"]["tempo_bpm"] == 66
    # The output is a valid config file.
    copy = tmp_path / "copy.toml"
    copy.write_text(bachbox("config", env=env).out)
    again = json.loads(bachbox("config", "--config", copy, "--json", env=env).out)
    assert again == shown | {"file": str(copy)}


def test_doctor_reports_each_check(env: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'sound.output = "{NO_CARD}"')
    done = bachbox("doctor", "--config", config, "--json", env=env)
    findings = {row["check"]: row for row in json.loads(done.out)}
    assert done.code == 1
    assert findings["sound card"]["status"] == "failed"
    assert "no sound card" in findings["sound card"]["detail"]
    for thing in ("soundfont", "runtime", "model chorales"):
        assert findings[thing]["status"] == "ok", findings[thing]
    assert findings["broker"]["status"] == "off"
    assert {"audio group", "real time", "pins"} <= findings.keys()


def test_doctor_tries_the_broker(env: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = tmp_path / "c.toml"
    config.write_text(
        '[sound]\noutput = "null"\n'
        '[mqtt]\nhost = "127.0.0.1"\nport = 1\nusername = "me"\npassword_file = "secret"\n'
    )
    done = bachbox("doctor", "--config", config, env=env)
    assert done.code == 1
    assert "failed  broker: 127.0.0.1:1 refuses the connection" in done.out
    assert "hunter2" not in done.out + done.err


def test_doctor_succeeds_without_a_card_if_none_is_needed(
    env: dict[str, str], tmp_path: Path
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('sound.output = "null"')
    done = bachbox("doctor", "--config", config, env=env)
    assert done.code == 0, done.out


def test_play_without_a_card_uses_the_fallback_and_reports_it(
    env: dict[str, str], tmp_path: Path
) -> None:
    sound = tmp_path / "instead.wav"
    options = ("--output", NO_CARD, "--fallback", f"wav:{sound}", "--duration", 2)
    with playing(*options, env=env) as box:
        assert box.finish() == 0
        assert f"written to {sound}" in box.wait_for("no sound card")
        assert box.counts()["pieces"] == 1
    with wave.open(str(sound)) as file:
        assert file.getnframes() >= 2 * file.getframerate()


def test_play_on_a_terminal_updates_a_status_line_and_restores_the_cursor(
    env: dict[str, str],
) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BACHBOX, "play", "--output", "null", "--seed", "5"],
        env=env | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "140"},
        stderr=theirs,
    )
    os.close(theirs)
    seen, drawn, asked_to_end = b"", set[str](), False
    # The terminal gives an error once nobody has it open any more.
    with contextlib.suppress(OSError):
        while chunk := os.read(ours, 4096):
            seen += chunk
            text = seen.decode(errors="ignore")
            drawn = set(re.findall(r"\r\x1b\[2K(♪ \w+ in [^\r\n]*)\r", text))
            if len(drawn) > 3 and not asked_to_end:
                asked_to_end = True
                process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0
    text = seen.decode()
    assert all(" xruns" in line and "s ahead" in line for line in drawn)
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_shell_completion_of_instruments_models_and_commands(env: dict[str, str]) -> None:
    for words, expected in (
        ("bachbox play --instrument Chu", "plain,church-organ\n"),
        ("bachbox render --model cho", "chorales"),
        ("bachbox re", "render"),
    ):
        done = bachbox(
            env=env
            | {
                "_BACHBOX_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            }
        )
        assert expected in done.out


def _notes(score: Path) -> list[tuple[int, int]]:
    """Return start tick and pitch of every note, in order."""
    found = []
    for track in mido.MidiFile(score).tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                found.append((tick, message.note))
    return sorted(found)


def test_doctor_survives_crashes_of_libraries(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty.conf").touch()
    done = bachbox("doctor", env=env | {"ALSA_CONFIG_PATH": str(tmp_path / "empty.conf")})
    assert done.code == 1
    assert "failed  sound card" in done.out
    assert "pins" in done.out


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_render_ended_by_a_signal_leaves_no_file(tmp_path: Path, ending: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance", "render", "out.wav", "--seconds", "20000"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until_there = time.monotonic() + 120
        while not list(tmp_path.iterdir()) and time.monotonic() < until_there:
            time.sleep(0.02)
        assert list(tmp_path.iterdir())
        process.send_signal(ending)
        assert "Traceback" not in process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["render", "out.mid", "--seconds", "nan"],
        ["play", "--duration", "nan"],
        ["play", "--fallback", "bogus"],
    ],
)
def test_options_with_invalid_values_are_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []
