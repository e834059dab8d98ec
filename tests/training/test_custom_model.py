"""`bachbox train`: told beforehand, listed afterwards. (tests/acceptance/training.py trains.)"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance import cli
from appliance.cli import train as train_command
from appliance.composing import model_file
from appliance.config import loader
from appliance.errors import UsageError
from appliance.training import custom_model
from appliance.training.convert import export_tflite
from appliance.training.data import score_folder as folders
from appliance.training.evaluate import ngram
from tests.support.making_music import MODELS, parts_of
from tests.support.scores import folder


class Workshop:
    """Stands for torch and TensorFlow: learns nothing, at a known pace."""

    LOOKS = 14

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.stopped = False

    def tokens_per_second(self, made: Any, codec: Any, scores: Any) -> float:
        return 200.0

    def train(self, made: Any, codec: Any, train: Any, valid: Any, work: Path) -> Any:
        self.asked.append(made)
        (work / "checkpoint.pt").write_bytes(b"some way")
        if self.stopped:
            raise KeyboardInterrupt
        return {}


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workshop:
    made = Workshop()
    flatbuffer, texts = parts_of()
    tensors = json.loads(texts["metadata.json"])["tensors"]
    monkeypatch.setitem(sys.modules, "appliance.training.trainer", made)
    monkeypatch.setattr(export_tflite, "calibration", lambda *_: None)
    monkeypatch.setattr(export_tflite, "tflite", lambda *_: flatbuffer)
    monkeypatch.setattr(export_tflite, "tensors_of", lambda model: tensors)
    monkeypatch.setattr(custom_model, "try_model", model_file.load)
    monkeypatch.setattr(custom_model, "nats_a_unit", lambda *_: 3.5)
    monkeypatch.setattr(train_command, "_REQUIRED_PACKAGES", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return made


def ngram_has(monkeypatch: pytest.MonkeyPatch, nats: float) -> None:
    monkeypatch.setattr(ngram, "baseline", lambda *_: (5, nats))


def test_what_was_made_is_listed_and_has_a_card(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ngram_has(monkeypatch, 4.0)
    source = folder(tmp_path / "scores by me")
    (source / "bad.mid").write_bytes(b"")
    assert cli.run(["train", str(source), "--name", "telemann", "--minutes", "3"]) == 0
    said = capsys.readouterr().out
    for sentence in (
        "Left out (1):\n  bad.mid: not a MIDI file",
        "6 pieces with 720 notes: 4 to learn from, 1 to see when to stop, 1 to judge it by.",
        "5 minutes: 3 minutes of training (200 tokens a second)",
        "3.500 nats a note",
        "4.000 nats a note: a 5-gram",
        "better than counting",
        "telemann.tflite: 72 beats a minute, Violin",
    ):
        assert sentence in said
    assert said.index("It will take") < said.index("Converting")
    path = tmp_path / "data" / "bachbox" / "models" / "telemann.tflite"
    model = model_file.load(path)
    assert path.with_suffix(".md").read_text() == model.card
    assert "private" in model.licence
    assert "`bachbox train FOLDER --name telemann --minutes 3 --seed 1`" in model.card
    assert "nats a note" in model.card
    assert len(model.forms) == 4
    assert path in model_file.listing(loader.model_folders(loader.Config()))
    assert not (tmp_path / "cache" / "bachbox" / "training" / "telemann").exists()
    # Where it takes the time that is given, it learns as much as fits into it.
    assert workshop.asked[0].training.tokens == int(200 * 180 / 1.1)
    # And again under the same name: a person's own model may be replaced.
    assert cli.run(["train", str(source), "--name", "telemann", "--minutes", "3"]) == 0
    capsys.readouterr()
    cli.run(["models"])
    assert "telemann" in capsys.readouterr().out


def test_a_little_music_needs_no_night(workshop: Workshop, tmp_path: Path) -> None:
    found = folders.read(folder(tmp_path / "in"), tmp_path / "scores.json")
    said: list[str] = []
    codec = custom_model._codec(tmp_path, found)
    made = custom_model._planned(tmp_path, "n", 1000, 1, codec, found, tmp_path, said.append)
    learned = sum(len(codec.encode(score)[1]) for score in found.scores["train"])
    assert made.training.tokens == custom_model.PASSES * learned
    assert made.training.warmup_updates < made.training.tokens / (32 * 120) / 10


def test_an_n_gram_that_wins_is_told_of(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ngram_has(monkeypatch, 3.0)
    assert cli.run(["train", str(folder(tmp_path / "in")), "--name", "weak"]) == 0
    assert "The n-gram wins" in capsys.readouterr().out
    assert "The n-gram wins" in model_file.load(tmp_path / "data/bachbox/models/weak.tflite").card


def test_what_is_stopped_goes_on_and_other_music_begins_anew(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    ngram_has(monkeypatch, 4.0)
    source = folder(tmp_path / "in")
    arguments = ["train", str(source), "--name", "mine", "--minutes", "2"]
    workshop.stopped = True
    assert cli.run(arguments) == 130
    capsys.readouterr()
    monkeypatch.setattr(workshop, "tokens_a_second", lambda *_: 7.0)
    assert cli.run(arguments) == 130
    assert "goes on from where it was stopped" in capsys.readouterr().out
    assert workshop.asked[0].training == workshop.asked[1].training
    folder(source, 7)
    workshop.stopped = False
    assert cli.run(arguments) == 0
    assert "Measuring how fast" in capsys.readouterr().out


def test_the_folder_of_the_config_is_where_it_goes(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ngram_has(monkeypatch, 4.0)
    file = tmp_path / "bachbox.toml"
    file.write_text(f'[music]\nmodels_folder = "{tmp_path / "shelf"}"\n')
    source = str(folder(tmp_path / "in"))
    assert cli.run(["train", source, "--name", "mine", "--config", str(file)]) == 0
    assert (tmp_path / "shelf" / "mine.tflite").is_file()


@pytest.mark.parametrize(
    "name", ["", ".", "a/b", "../a", "-x", "a b", "é", "x" * 41, "a_edgetpu", "a.tflite", "a\n"]
)
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="a name has at most 40 letters"):
        custom_model.check_name(name, [], Path("x"))


def test_a_shipped_model_keeps_its_name() -> None:
    shipped = model_file.listing([MODELS])
    with pytest.raises(UsageError, match="is called so already; choose another name"):
        custom_model.check_name("chorales", shipped, Path("/elsewhere/chorales.tflite"))
    custom_model.check_name("telemann", shipped, Path("/elsewhere/telemann.tflite"))
    custom_model.check_name("mine", [Path("/own/mine.tflite")], Path("/own/mine.tflite"))


def test_without_the_workshop_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(train_command, "_REQUIRED_PACKAGES", ("json", "no_torch_here"))
    assert cli.run(["train", str(tmp_path), "--name", "x"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("bachbox: no_torch_here is not installed")
    assert "pip install 'bachbox[train]'" in said
    assert "make workshop" in said
    assert said.count("\n") == 1


def test_too_little_is_refused_with_the_reasons(
    workshop: Workshop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "in", 2)
    (source / "bad.mid").write_bytes(b"")
    assert cli.run(["train", str(source), "--name", "x"]) == 2
    said = capsys.readouterr()
    assert "bad.mid: not a MIDI file" in said.out
    assert "at least 4 pieces" in said.err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "much"])
def test_minutes_are_minutes(
    workshop: Workshop, tmp_path: Path, minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tmp_path), "--name", "x", "--minutes", minutes]
    assert cli.run(arguments) == 2
    assert "minutes" in capsys.readouterr().err


def test_of_many_bad_files_the_rest_are_counted() -> None:
    said: list[str] = []
    custom_model._tell_left_out([(f"{n}.mid", "no good") for n in range(200)], said.append)
    assert len(said) == custom_model.MAX_LEFT_OUT + 2
    assert said[-1] == "  and 150 more, most of them: no good"


def test_a_folder_with_an_unreadable_name_makes_a_readable_card() -> None:
    found = SimpleNamespace(scores={"train": [1]}, tempo_bpm=80.0, instrument=0, kind=folders.LINES)
    made = custom_model.recipe_for(Path("/tmp/a\nb\x07"), "n", 1, 1, found)  # type: ignore[arg-type]
    assert made.card.description.isprintable()
    assert "a?b?" in made.card.description
