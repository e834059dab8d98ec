"""The command does what its help says."""

from __future__ import annotations

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


def test_render_writes_both_files_whole(env: dict[str, str], tmp_path: Path) -> None:
    sound, score = tmp_path / "a.wav", tmp_path / "a.mid"
    said = bachbox("render", sound, score, "--seconds", 12.5, "--seed", 3, "--json", env=env)
    assert said.code == 0, said.err
    facts = json.loads(said.out)
    with wave.open(str(sound)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        assert file.getnframes() == 12.5 * file.getframerate()
        assert max(file.readframes(file.getnframes())) > 0
    notes = [m for track in mido.MidiFile(score).tracks for m in track if m.type == "note_on"]
    assert len(notes) == facts["notes"] > 20
    assert {path.name for path in tmp_path.iterdir()} == {"a.wav", "a.mid"}


def test_the_same_seed_is_the_same_music_and_another_is_not(
    env: dict[str, str], tmp_path: Path
) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        score = tmp_path / f"{name}.mid"
        assert bachbox("render", score, "--seconds", 20, "--seed", seed, env=env).code == 0
    first, again, other = (_notes(tmp_path / f"{name}.mid") for name in "abc")
    assert first == again
    assert first != other


def test_render_pieces_ends_with_the_last_one(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "two.mid"
    said = bachbox("render", score, "--pieces", 2, "--seed", 5, "--json", env=env)
    assert json.loads(said.out)["pieces"] == 2
    markers = [m for track in mido.MidiFile(score).tracks for m in track if m.type == "marker"]
    assert len(markers) == 2


def test_settings_of_the_command_line_reach_the_music(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "fast.mid"
    wishes = ("--tempo", 200, "--instrument", "flute", "--seconds", 5)
    assert bachbox("render", score, *wishes, env=env).code == 0
    messages = [m for track in mido.MidiFile(score).tracks for m in track]
    programs = {m.program for m in messages if m.type == "program_change"}
    tempos = [mido.tempo2bpm(m.tempo) for m in messages if m.type == "set_tempo"]
    assert programs == {73}
    assert tempos[0] == pytest.approx(200, abs=0.01)


def test_at_expression_0_the_file_is_the_printed_page_and_at_60_it_is_played(
    env: dict[str, str], tmp_path: Path
) -> None:
    page, played = tmp_path / "page.mid", tmp_path / "played.mid"
    for score, percent in ((page, 0), (played, 60)):
        wishes = ("--expression", percent, "--pieces", 1, "--seed", 7)
        assert bachbox("render", score, *wishes, env=env).code == 0
    assert _notes(page) == _notes(played), "the same notes at the same ticks"
    messages = [m for track in mido.MidiFile(page).tracks for m in track]
    assert {m.velocity for m in messages if m.type == "note_on"} == {80}
    assert len({m.tempo for m in messages if m.type == "set_tempo"}) == 1
    shades = {m.velocity for track in mido.MidiFile(played).tracks for m in track
              if m.type == "note_on"}  # fmt: skip
    assert len(shades) > 8
    assert mido.MidiFile(played).length > mido.MidiFile(page).length


def test_a_rendered_file_is_tuned_as_asked(env: dict[str, str], tmp_path: Path) -> None:
    score = tmp_path / "tuned.mid"
    wishes = ("--temperament", "Vallotti", "--pitch", 415, "--seconds", 5)
    assert bachbox("render", score, *wishes, env=env).code == 0
    assert any(m.type == "sysex" for track in mido.MidiFile(score).tracks for m in track)


def test_a_prime_opens_the_first_piece(env: dict[str, str], tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine.mid", tmp_path / "theirs.mid"
    bachbox("render", mine, "--seconds", 15, "--seed", 3, env=env)
    said = bachbox("render", theirs, "--seconds", 30, "--seed", 9, "--prime", mine, env=env)
    assert said.code == 0, said.err
    opening, continued = _notes(mine), _notes(theirs)
    assert [pitch for _, pitch in continued[:20]] == [pitch for _, pitch in opening[:20]]
    assert len(continued) > len(opening)


def test_listings_are_for_people_and_for_programs(env: dict[str, str]) -> None:
    assert "chorales" in bachbox("models", env=env).out
    models = json.loads(bachbox("models", "--json", env=env).out)
    assert {"name", "tempo_bpm", "licence", "path"} <= models[0].keys()
    listed = json.loads(bachbox("instruments", "--json", env=env).out)
    assert [row["name"] for row in listed] == list(NAMES)
    assert all(row["in_soundfont"] for row in listed)
    assert "Church Organ" in bachbox("instruments", env=env).out


def test_a_model_is_one_file_put_into_a_folder(env: dict[str, str], tmp_path: Path) -> None:
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


def test_config_shows_what_is_in_force(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "config" / "bachbox" / "bachbox.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[music]\ninstrument = "church"\ntempo_bpm = 66\n')
    shown = json.loads(bachbox("config", "--json", env=env).out)
    assert shown["file"] == str(path)
    assert shown["music"]["instrument"] == "Church Organ"
    assert shown["music"]["tempo_bpm"] == 66
    # What it prints is a config file again.
    copy = tmp_path / "copy.toml"
    copy.write_text(bachbox("config", env=env).out)
    again = json.loads(bachbox("config", "--config", copy, "--json", env=env).out)
    assert again == shown | {"file": str(copy)}


def test_doctor_names_each_thing(env: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'sound.output = "{NO_CARD}"')
    said = bachbox("doctor", "--config", config, "--json", env=env)
    findings = {row["thing"]: row for row in json.loads(said.out)}
    assert said.code == 1
    assert findings["sound card"]["health"] == "bad"
    assert "no sound card" in findings["sound card"]["detail"]
    for thing in ("soundfont", "runtime", "model chorales"):
        assert findings[thing]["health"] == "ok", findings[thing]
    assert findings["broker"]["health"] == "off"
    assert {"audio group", "real time", "pins"} <= findings.keys()


def test_doctor_tries_the_broker(env: dict[str, str], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = tmp_path / "c.toml"
    config.write_text(
        '[sound]\noutput = "null"\n'
        '[mqtt]\nhost = "127.0.0.1"\nport = 1\nusername = "me"\npassword_file = "secret"\n'
    )
    said = bachbox("doctor", "--config", config, env=env)
    assert said.code == 1
    assert "bad  broker: 127.0.0.1:1 refuses the connection" in said.out
    assert "hunter2" not in said.out + said.err


def test_doctor_is_content_where_no_card_is_asked_for(env: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('sound.output = "null"')
    said = bachbox("doctor", "--config", config, env=env)
    assert said.code == 0, said.out


def test_play_without_a_card_takes_the_fallback_and_says_so(
    env: dict[str, str], tmp_path: Path
) -> None:
    sound = tmp_path / "instead.wav"
    wishes = ("--output", NO_CARD, "--fallback", f"wav:{sound}", "--duration", 2)
    with playing(*wishes, env=env) as box:
        assert box.finish() == 0
        assert f"written to {sound}" in box.wait_for("no sound card")
        assert box.counts()["pieces"] == 1
    with wave.open(str(sound)) as file:
        assert file.getnframes() >= 2 * file.getframerate()


def test_on_a_terminal_one_line_lives_and_the_cursor_comes_back(env: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*BACHBOX, "play", "--output", "null", "--duration", "3", "--seed", "5"],
        env=env | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "140"},
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            chunk = os.read(ours, 4096)
        except OSError:
            break
        seen += chunk
    assert process.wait(30) == 0
    text = seen.decode()
    drawn = re.findall(r"\r\x1b\[2K(♪ 1 in [^\r\n]*)", text)
    assert len(set(drawn)) > 3
    assert all(" xruns" in line and "s ahead" in line for line in drawn)
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l") >= 0


def test_shell_completion_knows_instruments_and_models(env: dict[str, str]) -> None:
    for words, expected in (
        ("bachbox play --instrument Chu", "plain,church-organ\n"),
        ("bachbox render --model cho", "chorales"),
        ("bachbox re", "render"),
    ):
        said = bachbox(
            env=env
            | {
                "_BACHBOX_COMPLETE": "bash_complete",
                "COMP_WORDS": words,
                "COMP_CWORD": str(len(words.split()) - 1),
            }
        )
        assert expected in said.out


def _notes(score: Path) -> list[tuple[int, int]]:
    """Start tick and pitch of every note, in order."""
    found = []
    for track in mido.MidiFile(score).tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity:
                found.append((tick, message.note))
    return sorted(found)


def test_doctor_survives_what_the_libraries_do_not(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "empty.conf").touch()
    said = bachbox("doctor", env=env | {"ALSA_CONFIG_PATH": str(tmp_path / "empty.conf")})
    assert said.code == 1
    assert "bad  sound card" in said.out
    assert "pins" in said.out


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_render_that_is_ended_leaves_nothing_behind(tmp_path: Path, ending: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance", "render", "out.wav", "--seconds", "20000"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    until_there = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < until_there:
        time.sleep(0.02)
    assert list(tmp_path.iterdir())
    process.send_signal(ending)
    assert "Traceback" not in process.communicate(timeout=60)[1]
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
def test_what_is_no_number_and_no_output_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert list(tmp_path.iterdir()) == []
