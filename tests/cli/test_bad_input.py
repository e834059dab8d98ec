"""Bad input: one sentence that says what is wrong, where, and what to do.

The exit code is 2 for a request that cannot be met and 1 for other failures. There is no
traceback, and no incomplete file. Most commands run in this process, where each saves the start
of a Python; a few run as processes of their own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance import cli
from appliance.common import logs
from tests.support.command import BACHBOX, NO_CARD, Finished, bachbox, home, playing

CHORALES = Path(__file__).parents[2] / "models" / "chorales.tflite"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return home(tmp_path)


@pytest.fixture
def fails(
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Callable[..., Finished]]:
    """Run a command in this process, in an empty folder that must stay empty."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]

    def run(*arguments: object) -> Finished:
        code = cli.run([str(argument) for argument in arguments])
        assert list(folder.iterdir()) == []
        return Finished(code, *capfd.readouterr())

    yield run
    logs.install()
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (("play", "--tempo", "fast"), 2, ("--tempo", "'fast'", "40 to 240")),
        (("play", "--output", "wav:"), 2, ("wav:FILE",)),
        (("render", "x.mid", "--model", "jazz"), 2, ("'jazz'", "chorales")),
        (("render", "x.wav", "--soundfont", "none.sf2"), 1, ("none.sf2",)),
        (("rendr",), 2, ("rendr", "render")),
    ],
)
def test_a_process_fails_with_one_sentence(
    env: dict[str, str],
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    parts: tuple[str, ...],
) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    bachbox(*arguments, env=env, cwd=folder).is_one_sentence(code, *parts)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("play", "--tempo", "fast"), ("--tempo", "'fast'", "40 to 240")),
        (("play", "--tempo", "nan"), ("--tempo", "40 to 240")),
        (("render", "x.wav", "--temperature", "9"), ("--temperature", "0.1 to 3")),
        (("render", "x.wav", "--top-p", "0"), ("--top-p", "0.05 to 1")),
        (("play", "--volume", "-1"), ("--volume", "0 to 100")),
        (("play", "--expression", "101"), ("--expression", "0 to 100")),
        (("play", "--temperament", "just"), ("'just'", "equal, werckmeister3")),
        (("render", "x.mid", "--pitch", "300"), ("--pitch", "392 to 466 Hz")),
        (("play", "--seed", "-1"), ("--seed",)),
        (("play", "--seed", "one"), ("--seed",)),
        (("play", "--instrument", "kazoo"), ("'kazoo'", "bachbox instruments")),
        (("play", "--instrument", "128"), ("0 to 127",)),
        (("render", "x.mid", "--model", "jazz"), ("'jazz'", "chorales")),
        (("render", "x.mid", "--model", "x" * 100), ("chorales",)),
        (("play", "--model", "picture.png/x"), (".tflite",)),
        (("play", "--config", "none.toml"), ("none.toml", "no such config file")),
        (("render", "x.opus"), ("x.opus", ".wav, .flac, .ogg, .mp3, .mid or .abc")),
        (("render", "x"), (".mid or .abc",)),
        (("render", "x.musicxml"), ("x.musicxml", "--pieces 1", "--replay")),
        (("render", "x.mid", "--replay", "none.mid"), ("none.mid", "cannot read")),
        (("render", "x.mid", "--replay", ".."), ("..", "not a file")),
        (("render", "x.mid", "--replay", "none.mid", "--seed", "1"), ("--seed", "combined")),
        (("render", "x.mid", "x.mid"), ("twice",)),
        (("render", "x.mid", "--seconds", "1", "--pieces", "1"), ("combined",)),
        (("render", "x.mid", "--seconds", "0"), ("--seconds",)),
        (("render", "x.mid", "--seconds", "inf"), ("--seconds",)),
        (("render", "x.mid", "--pieces", "0"), ("--pieces",)),
        (("render", "x.mid", "--prime", "none.mid"), ("none.mid",)),
        (("render", "x.mid", "--prime", "none.txt"), (".txt",)),
        (("render",), ("OUT", "--help")),
        (("rendr",), ("rendr", "render")),
        (("play", "--tempi", "90"), ("--tempi", "--tempo")),
        (("play", "--output", "wav:"), ("wav:FILE",)),
        (("play", "--output", ""), ("wav:FILE",)),
        (("play", "--output", "midi:Organ"), ("'midi:Organ'", 'out_port = "Organ"', "[midi]")),
        (("play", "--output", "null", "--prime", "none.mid"), ("none.mid",)),
    ],
)
def test_arguments_that_are_refused(
    fails: Callable[..., Finished], arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    fails(*arguments).is_one_sentence(2, *parts)


@pytest.mark.parametrize("verb", [("play", "--output", "null"), ("render", "x.wav")])
@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("missing", None, "no such"),
        ("empty", b"", "not a TensorFlow Lite model"),
        ("foreign", b"\x89PNG\r\n\x1a\n" * 100, "not a TensorFlow Lite model"),
        ("head", b"\x1c\0\0\0TFL3", "not one of Bachbox"),
        ("cut", lambda good: good[: len(good) // 2], "not one of Bachbox"),
        ("bare", lambda good: good[: good.index(b"PK\x03\x04")], "not one of Bachbox"),
        ("damaged", lambda good: good[:9999] + b"damage" + good[10005:], "checksum"),
    ],
)
def test_model_files_that_are_unusable(
    fails: Callable[..., Finished],
    tmp_path: Path,
    verb: tuple[str, ...],
    name: str,
    content: bytes | Callable[[bytes], bytes] | None,
    part: str,
) -> None:
    path = tmp_path / f"{name}.tflite"
    if content is not None:
        path.write_bytes(content(CHORALES.read_bytes()) if callable(content) else content)
    fails(*verb, "--model", path).is_one_sentence(1, str(path), part)


def test_model_with_the_wrong_vocabulary(fails: Callable[..., Finished], tmp_path: Path) -> None:
    path = _model(tmp_path, vocabulary=b"one\ntwo\n")
    fails("render", "x.wav", "--model", path).is_one_sentence(1, str(path), "vocabulary")


@pytest.mark.parametrize("verb", ["render", "play"])
def test_model_that_crashes_the_runtime_harms_only_a_child(
    fails: Callable[..., Finished], env: dict[str, str], tmp_path: Path, verb: str
) -> None:
    # The checksum is right but the flatbuffer is cut off: tflite-runtime reads past its end,
    # ai-edge-litert notices.
    path = _model(tmp_path, flatbuffer=lambda good: good[: len(good) // 2])
    if verb == "render":
        fails("render", "x.wav", "--model", path).is_one_sentence(1, str(path), "this model")
        return
    with playing("--output", "null", "--model", path, env=env) as box:
        assert box.finish() == 1
        box.wait_for("bachbox: .*(the model hostile may be damaged|hostile.tflite: .*this model)")
        assert "Traceback" not in "".join(box.lines)


def test_models_lists_the_good_ones_beside_a_bad_one(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "bad.tflite").write_bytes(b"nothing")
    config = tmp_path / "c.toml"
    config.write_text('music.models_folder = "."')
    done = bachbox("models", "--config", config, env=env)
    done.is_one_sentence(1, "bad.tflite")
    assert "chorales" in done.out


@pytest.mark.parametrize(
    "verb", [("play", "--output", "null"), ("render", "x.wav"), ("instruments",)]
)
@pytest.mark.parametrize("content", [None, b"just some text\n", b"RIFF\x04\0\0\0sfbk", b""])
def test_soundfont_files_that_are_unusable(
    fails: Callable[..., Finished], tmp_path: Path, verb: tuple[str, ...], content: bytes | None
) -> None:
    path = tmp_path / "font.sf2"
    if content is not None:
        path.write_bytes(content)
    fails(*verb, "--soundfont", path).is_one_sentence(1, str(path), "timgm6mb-soundfont")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mid", b""),
        ("a.mid", b"MThd\0\0\0\x06\0\x01\0\x01\x01\xe0MTrk\0\0\xff\xff\0"),
        ("a.mid", b"not MIDI at all"),
        ("a.musicxml", b"<score-partwise>"),
        ("a.mxl", b"PK not a zip"),
    ],
)
def test_prime_files_that_are_unusable(
    fails: Callable[..., Finished], tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    fails("render", "x.mid", "--prime", path).is_one_sentence(2, str(path))


def test_config_with_several_mistakes_reports_each(
    fails: Callable[..., Finished], tmp_path: Path
) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[music]\ntempo = 90\nlook_ahead_s = "long"\n[mqtt]\npassword = "hunter2"\n')
    done = fails("play", "--config", path)
    lines = done.err.splitlines()
    assert done.code == 2
    assert len(lines) == 3
    assert all(line.startswith(f"bachbox: {path}: [") for line in lines)
    assert "did you mean 'tempo_bpm'?" in lines[0]
    assert "hunter2" not in done.err


def test_config_that_is_not_toml(fails: Callable[..., Finished], tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[music\n")
    fails("config", "--config", path).is_one_sentence(2, str(path), "not TOML", "line 1")
    path.write_bytes(b"\xff\xfe")
    fails("play", "--config", path).is_one_sentence(2, str(path), "UTF-8")


def test_play_without_a_sound_card_reports_it_and_waits(env: dict[str, str]) -> None:
    with playing("--output", NO_CARD, env=env) as box:
        box.wait_for("performer: .*no sound card")
        assert box.end() == 0
        assert sum("no sound card" in line for line in box.lines) == 1


@pytest.mark.parametrize(
    ("output", "part"),
    [("missing/x.wav", "missing"), ("folder.wav", "folder.wav"), ("/proc/x.wav", "/proc")],
)
def test_output_that_cannot_be_written(
    env: dict[str, str], tmp_path: Path, output: str, part: str
) -> None:
    (tmp_path / "folder.wav").mkdir()
    done = bachbox("render", output, "--seconds", 1, env=env, cwd=tmp_path)
    done.is_one_sentence(1, "cannot write", part)
    done = bachbox("play", "--output", f"wav:{output}", env=env, cwd=tmp_path)
    done.is_one_sentence(1, "cannot write", part)


def test_output_pipe_that_is_not_a_pipe(fails: Callable[..., Finished]) -> None:
    fails("play", "--output", "pipe:/").is_one_sentence(1, "/")


@pytest.mark.parametrize(("name", "free_kib"), [("a.wav", 64), ("a.mid", 0)])
def test_full_disk_leaves_no_incomplete_file(
    env: dict[str, str], tmp_path: Path, name: str, free_kib: int
) -> None:
    done, left = _on_a_small_disk(tmp_path, env, free_kib, "render", name, "--seconds", "5")
    done.is_one_sentence(1, f"cannot write {name}", "No space left on device")
    assert left == ["filler"]


def test_full_disk_leaves_the_previous_file(env: dict[str, str], tmp_path: Path) -> None:
    done, left = _on_a_small_disk(tmp_path, env, 64, "render", "filler.wav", "--seconds", "5")
    done.is_one_sentence(1, "filler.wav", "No space left on device")
    assert left == ["filler", "filler.wav"]


def test_disk_that_fills_up_while_playing_ends_it(env: dict[str, str], tmp_path: Path) -> None:
    done, _ = _on_a_small_disk(tmp_path, env, 64, "play", "--output", "wav:a.wav")
    lines = done.err.splitlines()
    assert done.code == 1
    assert "Traceback" not in done.err
    assert sum("No space left on device" in line for line in lines) == 1, lines
    assert lines[-1].startswith("bachbox: cannot write a.wav")


def test_listing_whose_reader_goes_away_ends_quietly(env: dict[str, str]) -> None:
    command = " ".join([*BACHBOX, "instruments", "|", "head", "-1"])
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, check=False)
    assert done.stdout == b"Piano\n"
    assert done.stderr == b""


def _model(
    folder: Path,
    flatbuffer: Callable[[bytes], bytes] = lambda good: good,
    vocabulary: bytes | None = None,
) -> Path:
    """Make a changed copy of the chorales model, with a correct checksum."""
    with zipfile.ZipFile(CHORALES) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
        start = min(entry.header_offset for entry in archive.infolist())
    content = flatbuffer(CHORALES.read_bytes()[:start])
    about = json.loads(entries["metadata.json"])
    about["sha256"] = hashlib.sha256(content).hexdigest()
    entries["metadata.json"] = json.dumps(about).encode()
    if vocabulary is not None:
        entries["vocabulary.txt"] = vocabulary
    path = folder / "hostile.tflite"
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def _on_a_small_disk(
    folder: Path, env: dict[str, str], free_kib: int, *arguments: str
) -> tuple[Finished, list[str]]:
    """Run a command on a disk with ``free_kib`` free; return its result and the files left there.

    The disk is a tmpfs in a mount namespace of its own, which vanishes with the command.
    """
    disk = folder / "disk"
    disk.mkdir()
    listing = folder / "left"
    script = (
        f"mount -t tmpfs -o size=128k tmpfs {disk} && cd {disk} && "
        f"dd if=/dev/zero of=filler bs=1k count={128 - free_kib} status=none && "
        "case $* in *filler.wav*) : >filler.wav;; esac; "
        f'"$@"; code=$?; ls -A >{listing}; exit $code'
    )
    unshare = shutil.which("unshare")
    assert unshare, "unshare (package util-linux) is missing"
    done = subprocess.run(
        [
            *(unshare, "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"),
            *BACHBOX,
            *arguments,
        ],
        env=env | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr), listing.read_text().split()
