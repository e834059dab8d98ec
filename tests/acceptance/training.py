"""Tiny networks of every kind are trained, converted, loaded on both runtimes, and compose.

`make test-training` runs this in the training environment (the extra `train`). All scores are made
here. Nothing here judges how fast the machine is.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import mido
import msgspec
import numpy as np
import pytest
import torch

from appliance import cli
from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES, StepModel
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import NoteOn
from appliance.music.score import Score
from appliance.training import custom_model, custom_recipe, pipeline, trainer
from appliance.training.convert.calibration import calibration_samples
from appliance.training.convert.ensemble_step import ensemble_step
from appliance.training.convert.export_tflite import to_int8_tflite
from appliance.training.convert.lstm_step import CELL_LIMIT
from appliance.training.convert.model_card import figures_in_card
from appliance.training.convert.write_model_file import write_model_file
from appliance.training.custom_recipe import Request
from appliance.training.data import free_rhythm_corpus
from appliance.training.data.batches import EncodedPiece, encode, pad
from appliance.training.data.corpus import PRETRAIN
from appliance.training.data.score_folder import ScoreFolder, read_folder
from appliance.training.evaluate import window_baseline
from appliance.training.evaluate.float_likelihood import model_nll_per_unit
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.networks.factory import load_weights, make_network
from appliance.training.networks.transformer import TransformerNetwork
from appliance.training.networks.warm_start import network_config, networks_from_tflite
from appliance.training.preferences import optimise, teach
from appliance.training.preferences.pairs import Pair
from appliance.training.recipe import (
    NetworkConfig,
    PreferenceConfig,
    Recipe,
    TrainedModel,
    Weights,
    load,
)
from tests.support.making_music import MODELS, OPENING, chords
from tests.support.scores import folder, tune

LSTM = NetworkConfig(embedding=16, hidden=24, layers=1)
TRANSFORMER = NetworkConfig(
    kind="transformer", hidden=16, layers=2, heads=2, feedforward=24, memory_tokens=10
)
every_kind = pytest.mark.parametrize("network", [LSTM, TRANSFORMER], ids=["LSTM", "Transformer"])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    monkeypatch.setattr(custom_recipe, "NETWORK", LSTM)
    monkeypatch.setattr(custom_recipe, "MIN_TOKENS", 6000)
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def note_count(path: Path, steps: int = 64) -> int:
    """How many notes a model composes in some steps."""
    composer = Composer(model_file.load(path), seed=1)
    return sum(isinstance(event, NoteOn) for _ in range(steps) for event in composer.step())


def small_recipe(tmp_path: Path, network: NetworkConfig) -> tuple[Recipe, ScoreFolder, Codec]:
    """A recipe for a few MIDI files, with these files and their codec."""
    scores = read_folder(folder(tmp_path / "in"), tmp_path / "scores.json")
    request = Request(tmp_path, "small", 1, 1)
    recipe = custom_recipe.recipe_for(request, scores)
    recipe.network, recipe.training.batch_size = network, 4
    return recipe, scores, custom_model._make_codec(request, scores)


def convert(trained: TrainedModel, codec: Codec, scores: list[Any], path: Path) -> bytes:
    samples = calibration_samples(trained, codec, scores)
    flatbuffer = to_int8_tflite(trained, codec, samples)
    write_model_file(trained.recipe, codec, flatbuffer, scores, "", path)
    return flatbuffer


# Whole pipelines


def train_custom_model(source: Path, name: str) -> Path:
    """Run `bachbox train`, and return the model file."""
    assert cli.run(["train", str(source), "--name", name, "--minutes", "0.01"]) == 0
    models = custom_model.working_folder(name).parents[3] / "data/bachbox/models"
    return Path(model_file.find(name, [models]))


def test_midi_files_become_a_model_that_plays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = train_custom_model(folder(tmp_path / "in"), "walk")
    output = capsys.readouterr().out
    assert output.index("It will take") < output.index("Converting")
    assert output.index("Converting") < output.index(": the model file")
    assert note_count(path) > 8
    score = tmp_path / "walk.mid"
    assert cli.run(["render", str(score), "--model", "walk", "--pieces", "1"]) == 0
    assert mido.MidiFile(score).length > 1


def test_abc_tunes_become_a_model_that_plays(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "book.abc").write_text("".join(map(tune, range(12))))
    assert note_count(train_custom_model(source, "reels")) > 8


def four_part_scores(count: int) -> list[Score]:
    """Pieces of eight bars that walk through the chords of a key."""
    triads = [(72, 67, 64, 48), (69, 65, 60, 53), (71, 67, 62, 55), (69, 64, 60, 45)]
    rng = np.random.default_rng(1)
    return [
        chords(*[(4, triads[number]) for number in rng.integers(4, size=31)], (4, triads[0]))
        for _ in range(count)
    ]


@every_kind
def test_a_recipe_becomes_a_model_file_that_runs_on_both_runtimes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: NetworkConfig
) -> None:
    recipe = load(MODELS / "chorales.toml")
    recipe.network = msgspec.structs.replace(network, ensemble_size=2)
    recipe.training = msgspec.structs.replace(
        recipe.training, tokens=4000, batch_size=4, bptt_tokens=64, warm_start=""
    )
    scores = four_part_scores(8)
    corpus = {"train": scores[:4], "valid": scores[4:5], "test": scores[5:6], PRETRAIN: scores[6:]}
    path = tmp_path / "chorales.tflite"
    pipeline.make_model(recipe, corpus, tmp_path / "work", path)
    model = model_file.load(path)
    assert path.with_suffix(".md").read_text() == model.card
    in_float, *int8, ngram = [float(line.split()[0]) for line in figures_in_card(model.card)]
    # int8 may cost a little; the calibration, which the float figure lacks, only gains.
    assert int8 == [pytest.approx(int8[0], rel=0.002)] * len(RUNTIMES)
    assert 0.9 * in_float < int8[0] < 1.02 * in_float
    assert 0 < ngram < 4 * np.log(len(model.vocabulary))
    for runtime in RUNTIMES:
        monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
        assert StepModel(model).runtime == runtime
        assert note_count(path) > 8
    if network.kind == "lstm":
        recipe.training.warm_start = str(path)
        starts = trainer.Trainer(recipe, model.codec, scores[:1], tmp_path / "none.pt", 2)
        started = starts._checkpoint.network.state_dict()["embed.weight"].numpy()
        known = networks_from_tflite(model.flatbuffer)[1]["embed.weight"]
        assert np.array_equal(started, known)


@every_kind
def test_a_model_is_told_more_about_its_pieces_and_another_one_starts_from_its_weights(
    tmp_path: Path, network: NetworkConfig
) -> None:
    source = folder(tmp_path / "in")
    corpus = read_folder(source, tmp_path / "scores.json").corpus
    recipe = load(MODELS / "benchmarks/keyboard-conditioned.toml")
    recipe.network = network
    recipe.training = msgspec.structs.replace(
        recipe.training, tokens=4000, batch_size=4, bptt_tokens=64, warm_start=""
    )
    path = tmp_path / "conditioned.tflite"
    pipeline.make_model(recipe, corpus, tmp_path / "work", path)
    model = model_file.load(path)
    assert model.codec.options["conditioning"]
    assert all(form.facts.traits for form in model.forms)
    assert note_count(path) > 8

    (weights,) = networks_from_tflite(model.flatbuffer)
    assert network_config(weights) == network
    in_float = model_nll_per_unit(TrainedModel(recipe, [weights]), model.codec, corpus["test"])
    metadata = msgspec.structs.replace(model.metadata, kind_temperatures=[])
    not_calibrated = dataclasses.replace(model, metadata=metadata)
    assert nll_per_unit(not_calibrated, corpus["test"]) == pytest.approx(in_float, rel=0.02)

    arguments = ["train", str(source), "--name", "mine", "--minutes", "0.01", "--from", str(path)]
    assert cli.run(arguments) == 0
    models = custom_model.working_folder("mine").parents[3] / "data/bachbox/models"
    assert model_file.load(models / "mine.tflite").codec.options == model.codec.options


# Teaching


def preference_gradients(chosen: float, rejected: float, advantage: float) -> tuple[float, float]:
    """How the loss of a pair changes with the two log-probabilities."""
    up, down = (torch.tensor([value], requires_grad=True) for value in (chosen, rejected))
    config = PreferenceConfig(beta=0.1, penalty=10)
    optimise.preference_loss(up, down, torch.tensor([advantage]), config).backward()
    assert up.grad is not None
    assert down.grad is not None
    return float(up.grad), float(down.grad)


def test_the_loss_raises_the_chosen_one_and_lowers_the_rejected_one() -> None:
    up, down = preference_gradients(1.0, 0.5, 4.0)
    assert up < 0 < down
    # Much less where the critic hardly sees a difference, or where it is learned already.
    assert abs(preference_gradients(1.0, 0.5, 0.5)[0]) < abs(up) / 3
    assert abs(preference_gradients(40.0, -20.0, 4.0)[0]) < abs(up) / 3


def test_a_chosen_one_that_becomes_less_likely_is_what_matters_most() -> None:
    up, down = preference_gradients(-1.0, -5.0, 4.0)
    assert up < -5 * down < 0


@every_kind
def test_a_network_learns_to_prefer_what_was_chosen(network: NetworkConfig) -> None:
    rng = np.random.default_rng(1)
    codec = FourPartCodec(onsets=True, form=True)
    taught, before = (make_network(network, codec) for _ in range(2))
    taught.load_state_dict(before.state_dict())

    def drawn(tokens: int) -> EncodedPiece:
        return EncodedPiece(
            rng.integers(codec.width, size=(tokens, 5)).astype(np.int16),
            rng.integers(len(codec.vocabulary), size=tokens).astype(np.int16),
        )

    pairs = [Pair(drawn(65), drawn(9), drawn(int(rng.integers(5, 12))), 5.0) for _ in range(8)]
    real = iter(lambda: pad([drawn(20)], 20, np.ones(1, bool)), None)
    config = PreferenceConfig(learning_rate=1e-2, batch_size=2)
    for _ in range(12):
        optimise.optimise(taught, pairs, real, config, rng)
    for pair in pairs:
        prefix = EncodedPiece(pair.prefix.features[5:], pair.prefix.targets[5:])
        with torch.no_grad():
            chosen, rejected = (
                optimise.log_probabilities(taught, [prefix], both)
                - optimise.log_probabilities(before.eval(), [prefix], both)
                for both in ([pair.chosen], [pair.rejected])
            )
        assert chosen > rejected


def test_a_candidate_has_the_probability_that_it_has_in_its_piece() -> None:
    """However long the candidates beside it are, and the prefixes of others."""
    scores = four_part_scores(2)
    codec = FourPartCodec(onsets=True, form=True)
    network = make_network(TRANSFORMER, codec).eval()
    pieces = [encode(codec, score) for score in scores]
    parts = [EncodedPiece(p.features[:60], p.targets[:60]) for p in pieces]
    rests = [
        EncodedPiece(p.features[60:end], p.targets[60:end])
        for p, end in zip(pieces, (90, 72), strict=True)
    ]
    with torch.no_grad():
        found = optimise.log_probabilities(network, parts, rests)
        for number, (piece, rest) in enumerate(zip(pieces, rests, strict=True)):
            features = torch.tensor(piece.features[:, None].astype(np.int64))
            logits, _ = network(features, None)
            chances = logits[60 : 60 + len(rest.targets), 0].log_softmax(-1)
            targets = torch.tensor(rest.targets.astype(np.int64))[:, None]
            assert found[number].item() == pytest.approx(
                chances.gather(1, targets).sum().item(), rel=1e-4
            )


def test_a_model_is_taught_and_stays_the_same_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = read_folder(folder(tmp_path / "in"), tmp_path / "scores.json").corpus
    recipe = load(MODELS / "keyboard.toml")
    recipe.network = TRANSFORMER
    recipe.training = msgspec.structs.replace(
        recipe.training, tokens=4000, cpu_budget_s=0, batch_size=4, bptt_tokens=64
    )
    recipe.preferences = PreferenceConfig(rounds=1, pieces=2, candidates=3, min_advantage=0)
    path = tmp_path / "keyboard.tflite"
    pipeline.make_model(recipe, corpus, tmp_path / "work", path)
    before, start = model_file.load(path), path.read_bytes()
    monkeypatch.setattr(teach, "JUDGED_PIECES", 5)
    # Whatever the figures of a network that can do nothing are.
    monkeypatch.setattr(teach.Teacher, "fault", lambda *_: "")
    kept, lines = teach.teach(recipe, corpus, tmp_path / "teach", path)
    assert (kept, len(lines)) == (1, 2)
    after = model_file.load(path)
    assert after.flatbuffer != before.flatbuffer
    assert after.forms == before.forms
    assert after.card == before.card
    assert note_count(path) > 8
    # What was made is not made again.
    monkeypatch.setattr(teach, "Chooser", None)
    path.write_bytes(start)
    assert teach.teach(recipe, corpus, tmp_path / "teach", path) == (kept, lines)


# Training


def test_a_stopped_training_is_resumed_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "in")
    monkeypatch.setattr(trainer, "CHECKPOINT_INTERVAL_S", 0)
    monkeypatch.setattr(custom_recipe, "MIN_TOKENS", 30_000)
    update, updates = trainer.update, 0

    def interrupted_update(*arguments: Any) -> Any:
        nonlocal updates
        updates += 1
        if updates == trainer.SPEED_TEST_UPDATES + 5:
            raise KeyboardInterrupt
        return update(*arguments)

    monkeypatch.setattr(trainer, "update", interrupted_update)
    arguments = ["train", str(source), "--name", "walk", "--minutes", "0.01"]
    assert cli.run(arguments) == 130
    saved = torch.load(custom_model.working_folder("walk") / trainer.CHECKPOINT_NAME)
    updates = 1000
    finished: list[dict[str, Any]] = []
    install = custom_model._install

    def look_and_install(path: Path, target: Path) -> None:
        finished.append(torch.load(path.with_name(trainer.CHECKPOINT_NAME)))
        install(path, target)

    monkeypatch.setattr(custom_model, "_install", look_and_install)
    assert cli.run(arguments) == 0
    assert "Resuming the training that was stopped" in capsys.readouterr().out
    assert finished[0]["updates"] == saved["updates"] + updates - 1000
    assert saved["seen_tokens"] < finished[0]["seen_tokens"]


def test_training_stops_early_without_improvement(tmp_path: Path) -> None:
    recipe, scores, codec = small_recipe(tmp_path, LSTM)
    recipe.training.batch_size = 32
    recipe.training.tokens, recipe.training.patience_evals = 200_000, 2
    recipe.training.learning_rate = 0.0
    trainer.train(recipe, codec, scores.corpus["train"], scores.corpus["valid"], tmp_path)
    saved = torch.load(tmp_path / trainer.CHECKPOINT_NAME)
    assert saved["evals_without_improvement"] == 2
    assert saved["seen_tokens"] < 100_000


@every_kind
def test_a_cpu_budget_is_spent_and_something_is_learned(
    tmp_path: Path, network: NetworkConfig
) -> None:
    recipe, scores, codec = small_recipe(tmp_path, network)
    recipe.training.tokens, recipe.training.cpu_budget_s = 0, 3
    recipe.training.warmup_updates = 1
    start_s = time.process_time()
    trainer.train(recipe, codec, scores.corpus["train"], scores.corpus["valid"], tmp_path)
    assert time.process_time() - start_s >= 3
    saved = torch.load(tmp_path / trainer.CHECKPOINT_NAME)
    assert 3 <= saved["cpu_s"] < 6
    untrained_nll = 3 * torch.log(torch.tensor(len(codec.vocabulary))).item()
    assert 0 < saved["best_nll"] < untrained_nll


def test_the_window_baseline_learns(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", 5)
    scores = free_rhythm_corpus.read_files(sorted(path.iterdir()), tmp_path / "scores.json")[0]
    before = window_baseline.score_window_lstm(scores[:4], scores[4:], 0.001)
    after = window_baseline.score_window_lstm(scores[:4], scores[4:], 4)
    assert after.nll < before.nll
    assert 0 <= after.accuracy <= 1


# The Transformer


def random_features(tokens: int, batch: int) -> torch.Tensor:
    return torch.randint(0, 30, (tokens, batch, 3))


def random_transformer() -> TransformerNetwork:
    torch.manual_seed(1)
    network = TransformerNetwork(30, 9, TRANSFORMER, 0.0)
    network.eval()
    return network


@pytest.mark.parametrize("chunk_tokens", [1, 7, 24])
def test_a_token_sees_the_same_memory_wherever_in_a_chunk_it_is(chunk_tokens: int) -> None:
    features, network = random_features(48, 2), random_transformer()
    whole, _ = network(features, None)
    state, parts = None, []
    for chunk in features.split(chunk_tokens):
        logits, state = network(chunk, state)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)
    without_past, _ = network(features[16:], None)
    assert not torch.allclose(without_past[0], whole[16], atol=1e-2)


def test_attention_does_not_see_later_tokens() -> None:
    features, network = random_features(12, 2), random_transformer()
    other = features.clone()
    other[8:] = random_features(4, 2)
    logits, other_logits = network(features, None)[0], network(other, None)[0]
    assert torch.allclose(logits[:8], other_logits[:8], atol=1e-5)


def test_a_zeroed_state_is_the_initial_state() -> None:
    features, network = random_features(8, 2), random_transformer()
    _, state = network(random_features(8, 2), None)
    keep = torch.tensor([0.0, 1.0])[None, :, None]
    logits, _ = network(features, [(keys * keep, values * keep) for keys, values in state])
    initial, _ = network(features, None)
    assert torch.allclose(logits[:, 0], initial[:, 0], atol=1e-5)
    assert not torch.allclose(logits[:, 1], initial[:, 1], atol=1e-3)


# Conversion


def untrained(recipe: Recipe, codec: Codec) -> TrainedModel:
    ensemble: list[Weights] = []
    for seed in range(recipe.network.ensemble_size):
        torch.manual_seed(seed)
        network = make_network(recipe.network, codec)
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        # Larger logits, so that the networks do not all predict the uniform distribution.
        ensemble.append(weights | {"out.weight": 5 * weights["out.weight"]})
    return TrainedModel(recipe, ensemble)


@every_kind
def test_a_model_is_the_average_of_its_networks_in_all_transpositions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: NetworkConfig
) -> None:
    recipe, scores, codec = small_recipe(tmp_path, network)
    recipe.network = msgspec.structs.replace(network, ensemble_size=2, transpositions=(0, 1, -2))
    trained, test_scores = untrained(recipe, codec), scores.corpus["test"]
    path = tmp_path / "average.tflite"
    flatbuffer = convert(trained, codec, scores.corpus["train"], path)
    in_float = model_nll_per_unit(trained, codec, test_scores)
    first = TrainedModel(recipe, trained.ensemble[:1])
    assert abs(model_nll_per_unit(first, codec, test_scores) - in_float) > 0.01
    for runtime in RUNTIMES:
        monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
        int8 = nll_per_unit(model_file.load(path), test_scores)
        assert int8 == pytest.approx(in_float, rel=0.02), runtime
    if network.kind == "lstm":
        for weights, known in zip(trained.ensemble, networks_from_tflite(flatbuffer), strict=True):
            for name in ("embed.weight", "out.weight", "layers.0.weight_hh_l0"):
                largest = np.abs(weights[name]).max()
                assert np.abs(weights[name] - known[name]).max() < 0.02 * largest


def test_single_steps_give_the_logits_of_whole_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly in floating point, and up to the rounding of int8 through the model file."""
    recipe, scores, codec = small_recipe(tmp_path, TRANSFORMER)
    train_scores, valid_scores = scores.corpus["train"], scores.corpus["valid"]
    recipe.training.tokens = 20_000
    weights = trainer.train(recipe, codec, train_scores, valid_scores, tmp_path)
    network = make_network(recipe.network, codec).eval()
    load_weights(network, weights)
    piece = encode(codec, valid_scores[0])
    assert len(piece.targets) > 5 * TRANSFORMER.memory_tokens
    features = torch.tensor(piece.features[:, None].astype(np.int64))
    with torch.no_grad():
        whole = network(features, None)[0][:, 0].numpy()
    inputs = [[index for index in row if index >= 0] for row in piece.features.tolist()]

    trained = TrainedModel(recipe, [weights])
    step = ensemble_step(trained, codec)
    state = {name: np.zeros(shape, np.float32) for name, shape in step.state_shapes.items()}
    for active, expected in zip(inputs[:40], whole, strict=False):
        x = np.zeros((1, codec.width), np.float32)
        x[0, active] = 1
        outputs = step.function(x, *state.values())
        assert np.allclose(outputs["logits"][0], expected, atol=1e-4)
        for name, rows in state.items():
            state[name] = np.concatenate([rows[:, 1:], outputs[f"{name}_next"][:, None]], 1)

    path = tmp_path / "small.tflite"
    convert(trained, codec, train_scores, path)
    for runtime in RUNTIMES:
        monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
        model = StepModel(model_file.load(path))
        stepped = np.array([model.step(active) for active in inputs])
        assert np.sqrt(np.mean((stepped - whole) ** 2)) < 0.1 * whole.std(), runtime
        assert note_count(path) > 8


def test_calibration_samples_have_every_voice_and_states_within_their_bounds() -> None:
    codec = FourPartCodec(onsets=True, form=True)
    recipe = load(MODELS / "chorales.toml")
    recipe.network = NetworkConfig(embedding=4, hidden=3, layers=2, transpositions=(0, 1))
    rng = np.random.default_rng(1)
    network = make_network(recipe.network, codec)
    weights = {
        name: rng.normal(size=value.shape).astype("f4")
        for name, value in network.named_parameters()
    }
    for name in weights:
        if "bias_ih" in name:
            weights[name][:] = 9
    trained = TrainedModel(recipe, [weights] * 2)
    samples = list(calibration_samples(trained, codec, [OPENING] * 3)())
    assert len(samples) > 10
    voices = [sample["x"][0, codec.inputs.indices("voice")] for sample in samples]
    assert np.any(voices, axis=0).all()
    suffixes = ("", "_2", "_3", "_4")  # two ensemble members, two transpositions
    states = {f"{kind}{layer}{suffix}" for kind in "hc" for layer in "01" for suffix in suffixes}
    assert all(set(sample) == {"x", *states} for sample in samples)
    original, transposed = (
        np.concatenate([sample[name] for sample in samples]) for name in ("h1", "h1_2")
    )
    assert not np.allclose(original, transposed), "the transpositions have the same states"
    cell_states = [name for name in states if "c" in name]
    cells = np.concatenate([sample[name].ravel() for sample in samples for name in cell_states])
    assert np.abs(cells).max() <= CELL_LIMIT
    assert cells.any()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
