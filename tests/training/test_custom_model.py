"""`bachbox train` with stand-ins for torch and TensorFlow; tests/acceptance/training.py trains."""

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
from appliance.training import custom_model, custom_recipe, recipe
from appliance.training.convert import export_tflite
from appliance.training.custom_recipe import Request
from appliance.training.data import score_folder
from tests.support.making_music import MODELS, parts_of
from tests.support.scores import folder

TENSORS = json.loads(parts_of()[1]["metadata.json"])["tensors"]


class FakeTrainer:
    """Stands for the module ``trainer``: trains nothing, at a known speed."""

    EVALUATIONS = 14
    CHECKPOINT_NAME = "checkpoint.pt"

    def __init__(self) -> None:
        self.recipes: list[Any] = []
        self.interrupted = False

    def tokens_per_second(self, recipe: Any, codec: Any, scores: Any) -> float:
        return 200.0

    def train(self, recipe: Any, codec: Any, train: Any, valid: Any, work: Path) -> Any:
        self.recipes.append(recipe)
        (work / self.CHECKPOINT_NAME).write_bytes(b"some way")
        if self.interrupted:
            raise KeyboardInterrupt
        return {}


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeTrainer:
    fake = FakeTrainer()
    calibration = SimpleNamespace(calibration_samples=lambda *_: None)
    monkeypatch.setitem(sys.modules, "appliance.training.trainer", fake)
    monkeypatch.setitem(sys.modules, "appliance.training.convert.calibration", calibration)
    temperatures = SimpleNamespace(fit_kind_temperatures=lambda *_: [])
    monkeypatch.setitem(sys.modules, "appliance.training.convert.kind_temperatures", temperatures)
    monkeypatch.setattr(export_tflite, "to_int8_tflite", lambda *_: parts_of()[0])
    monkeypatch.setattr(export_tflite, "tensor_indices", lambda flatbuffer: TENSORS)
    monkeypatch.setattr(custom_model, "try_model", model_file.load)
    monkeypatch.setattr(custom_model, "nll_per_unit", lambda *_: 3.5)
    monkeypatch.setattr(train_command, "_REQUIRED_PACKAGES", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return fake


def set_ngram_nll(monkeypatch: pytest.MonkeyPatch, nll: float) -> None:
    monkeypatch.setattr(custom_model, "evaluate_ngram", lambda *_: (5, nll))


def test_a_new_model_is_listed_and_has_a_card(
    trainer: FakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_ngram_nll(monkeypatch, 4.0)
    source = folder(tmp_path / "scores by me")
    (source / "bad.mid").write_bytes(b"")
    assert cli.run(["train", str(source), "--name", "telemann", "--minutes", "3"]) == 0
    output = capsys.readouterr().out
    for text in (
        "Skipped (1):\n  bad.mid: not a MIDI file",
        "6 pieces with 720 notes: 4 for training, 1 for validation, 1 for the final test.",
        "5 minutes: 3 minutes of training (200 tokens per second)",
        "3.500 nats per note",
        "4.000 nats per note: a 5-gram",
        "better than an n-gram",
        "telemann.tflite: 72 BPM, Violin",
    ):
        assert text in output
    assert output.index("It will take") < output.index("Converting")
    path = tmp_path / "data" / "bachbox" / "models" / "telemann.tflite"
    model = model_file.load(path)
    assert path.with_suffix(".md").read_text() == model.card
    assert "private" in model.licence
    assert "`bachbox train FOLDER --name telemann --minutes 3 --seed 1`" in model.card
    assert "nats per note" in model.card
    assert len(model.forms) == 4
    assert path in model_file.listing(loader.model_folders(loader.Config()))
    assert not (tmp_path / "cache" / "bachbox" / "training" / "telemann").exists()
    # It trains on as many tokens as fit into the given time.
    assert trainer.recipes[0].training.tokens == int(200 * 180 / 1.1)
    # And again with the same name: a user's own model may be replaced.
    assert cli.run(["train", str(source), "--name", "telemann", "--minutes", "3"]) == 0
    capsys.readouterr()
    cli.run(["models"])
    assert "telemann" in capsys.readouterr().out


def test_a_small_folder_does_not_take_the_whole_time(trainer: FakeTrainer, tmp_path: Path) -> None:
    scores = score_folder.read_folder(folder(tmp_path / "in"), tmp_path / "scores.json")
    lines: list[str] = []
    request = Request(tmp_path, "n", 1000, 1)
    codec = custom_model._make_codec(request, scores)
    recipe = custom_recipe.plan_training(request, codec, scores, tmp_path, lines.append)
    epoch_tokens = sum(len(codec.encode(score)[1]) for score in scores.corpus["train"])
    assert recipe.training.tokens == custom_recipe.MAX_EPOCHS * epoch_tokens
    assert recipe.training.warmup_updates < recipe.training.tokens / (32 * 120) / 10


def test_a_training_starts_from_the_weights_of_a_shipped_model(
    trainer: FakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(custom_model, "_make_model", lambda recipe, codec, *_: made.append(codec))
    made: list[Any] = []
    source = folder(tmp_path / "in")
    shipped = MODELS / "keyboard.tflite"
    arguments = ["train", str(source), "--name", "mine"]
    assert cli.run(arguments) == 0
    assert "With --from keyboard the training starts" in capsys.readouterr().out
    assert cli.run([*arguments, "--from", "keyboard"]) == 0
    assert "--from" not in capsys.readouterr().out
    assert made[0].options != made[1].options == model_file.load(shipped).codec.options

    scores = score_folder.read_folder(source, tmp_path / "scores.json")
    from_shipped = custom_recipe.recipe_for(Request(source, "n", 1, 1, shipped), scores)
    assert from_shipped.network == recipe.load(MODELS / "keyboard.toml").network
    assert Path(from_shipped.training.warm_start) == shipped
    assert from_shipped.card.made_by.endswith("--seed 1 --from keyboard`")
    alone = custom_recipe.recipe_for(Request(source, "n", 1, 1), scores)
    assert alone.training.warm_start == ""
    assert alone.training.learning_rate > from_shipped.training.learning_rate


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("folk", "--from folk: it composes another kind of music than MIDI and MusicXML files"),
        ("chorales", "keyboard would do"),
        ("nothing", "no model called 'nothing'"),
    ],
)
def test_a_model_to_start_from_that_does_not_fit_is_refused(
    trainer: FakeTrainer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    start: str,
    message: str,
) -> None:
    source = folder(tmp_path / "in")
    assert cli.run(["train", str(source), "--name", "mine", "--from", start]) == 2
    assert message in capsys.readouterr().err
    assert not trainer.recipes


def test_a_better_ngram_is_reported(
    trainer: FakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_ngram_nll(monkeypatch, 3.0)
    assert cli.run(["train", str(folder(tmp_path / "in")), "--name", "weak"]) == 0
    assert "The n-gram is better" in capsys.readouterr().out
    card = model_file.load(tmp_path / "data/bachbox/models/weak.tflite").card
    assert "The n-gram is better" in card


def test_a_stopped_training_is_resumed_unless_the_music_is_another(
    trainer: FakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_ngram_nll(monkeypatch, 4.0)
    source = folder(tmp_path / "in")
    arguments = ["train", str(source), "--name", "mine", "--minutes", "2"]
    trainer.interrupted = True
    assert cli.run(arguments) == 130
    capsys.readouterr()
    monkeypatch.setattr(trainer, "tokens_per_second", lambda *_: 7.0)
    assert cli.run(arguments) == 130
    assert "Resuming the training that was stopped" in capsys.readouterr().out
    assert trainer.recipes[0].training == trainer.recipes[1].training
    folder(source, 7)
    trainer.interrupted = False
    assert cli.run(arguments) == 0
    assert "Measuring how fast" in capsys.readouterr().out


def test_the_models_folder_of_the_config_is_used(
    trainer: FakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_ngram_nll(monkeypatch, 4.0)
    file = tmp_path / "bachbox.toml"
    file.write_text(f'[music]\nmodels_folder = "{tmp_path / "shelf"}"\n')
    source = str(folder(tmp_path / "in"))
    assert cli.run(["train", source, "--name", "mine", "--config", str(file)]) == 0
    assert (tmp_path / "shelf" / "mine.tflite").is_file()


@pytest.mark.parametrize(
    "name", ["", ".", "a/b", "../a", "-x", "a b", "é", "x" * 41, "a_edgetpu", "a.tflite", "a\n"]
)
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a name has at most 40 letters"):
        custom_model.check_name(name, [], Path("x"))


def test_the_name_of_a_shipped_model_is_refused() -> None:
    shipped = model_file.listing([MODELS])
    with pytest.raises(UsageError, match="has this name already; choose another name"):
        custom_model.check_name("chorales", shipped, Path("/elsewhere/chorales.tflite"))
    custom_model.check_name("telemann", shipped, Path("/elsewhere/telemann.tflite"))
    custom_model.check_name("mine", [Path("/own/mine.tflite")], Path("/own/mine.tflite"))


def test_missing_packages_are_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(train_command, "_REQUIRED_PACKAGES", ("json", "no_torch_here"))
    assert cli.run(["train", str(tmp_path), "--name", "x"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("bachbox: no_torch_here is not installed")
    assert "make workshop" in message
    assert message.count("\n") == 1


def test_too_little_music_is_refused_with_the_reasons(
    trainer: FakeTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "in", 2)
    (source / "bad.mid").write_bytes(b"")
    assert cli.run(["train", str(source), "--name", "x"]) == 2
    captured = capsys.readouterr()
    assert "bad.mid: not a MIDI file" in captured.out
    assert "at least 4 pieces" in captured.err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "much"])
def test_invalid_minutes_are_refused(
    trainer: FakeTrainer, tmp_path: Path, minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", str(tmp_path), "--name", "x", "--minutes", minutes]
    assert cli.run(arguments) == 2
    assert "minutes" in capsys.readouterr().err


def test_of_many_skipped_files_the_rest_is_counted() -> None:
    lines: list[str] = []
    custom_model._report_skipped([(f"{n}.mid", "no good") for n in range(200)], lines.append)
    assert len(lines) == custom_model.MAX_SKIPPED_SHOWN + 2
    assert lines[-1] == "  and 150 more, most often because: no good"


def test_unprintable_characters_of_a_folders_name_are_replaced_in_the_card() -> None:
    scores: Any = SimpleNamespace(
        corpus={"train": [1]}, tempo_bpm=80.0, instrument=0, format=score_folder.FREE_RHYTHM
    )
    recipe = custom_recipe.recipe_for(Request(Path("/tmp/a\nb\x07"), "n", 1, 1), scores)
    assert recipe.card.description.isprintable()
    assert "a?b?" in recipe.card.description
