"""The workshop really trains, with tiny networks: `make test-training` (needs the extra train)."""

from __future__ import annotations

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
from appliance.music.events import Kind
from appliance.music.score import VOICES
from appliance.training import custom_model as own
from appliance.training import trainer as training
from appliance.training.convert import export_tflite
from appliance.training.convert.lstm_step import CELL_LIMIT
from appliance.training.data import free_rhythm_corpus
from appliance.training.data import score_folder as folders
from appliance.training.data.batches import encode
from appliance.training.evaluate import likelihood, window_baseline
from appliance.training.networks import transformer
from appliance.training.networks.warm_start import networks_of
from appliance.training.recipe import NetworkPart, Recipe, Trained, Weights, load
from tests.support.making_music import OPENING
from tests.support.scores import folder, tune

TINY = NetworkPart(embedding=16, hidden=24, layers=1)
SIZES = NetworkPart(kind="attention", hidden=16, layers=2, heads=2, inner=24, memory_tokens=10)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(own, "NETWORK", TINY)
    monkeypatch.setattr(own, "MIN_TOKENS", 6000)
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def made(source: Path, name: str, *more: str) -> Path:
    arguments = ["train", str(source), "--name", name, "--minutes", "0.01", *more]
    assert cli.run(arguments) == 0
    return Path(
        model_file.find(name, [own.working_folder(name).parents[3] / "data/bachbox/models"])
    )


def plays(path: Path) -> int:
    composer = Composer(model_file.load(path), seed=1)
    return sum(e.kind == Kind.NOTE_ON for _ in range(64) for e in composer.step())


def test_midi_files_become_a_composer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = made(folder(tmp_path / "in"), "walk")
    said = capsys.readouterr().out
    assert said.index("It will take") < said.index("Converting") < said.index(": the model as")
    assert plays(path) > 8
    score = tmp_path / "walk.mid"
    assert cli.run(["render", str(score), "--model", "walk", "--pieces", "1"]) == 0
    assert mido.MidiFile(score).length > 1


def test_tunes_become_a_composer(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "book.abc").write_text("".join(map(tune, range(12))))
    assert plays(made(source, "reels")) > 8


def test_what_was_stopped_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path / "in")
    monkeypatch.setattr(training, "CHECKPOINT_EVERY_S", 0)
    monkeypatch.setattr(own, "MIN_TOKENS", 30_000)
    real, updates = training.update, 0

    def stopping(*arguments: Any) -> Any:
        nonlocal updates
        updates += 1
        if updates == training.MEASURED_UPDATES + 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(training, "update", stopping)
    arguments = ["train", str(source), "--name", "walk", "--minutes", "0.01"]
    assert cli.run(arguments) == 130
    kept = torch.load(own.working_folder("walk") / "checkpoint.pt")
    updates = 1000
    ended: list[dict[str, Any]] = []
    put = own._put

    def looking(file: Path, target: Path) -> None:
        ended.append(torch.load(file.with_name("checkpoint.pt")))
        put(file, target)

    monkeypatch.setattr(own, "_put", looking)
    assert cli.run(arguments) == 0
    assert "goes on from where it was stopped" in capsys.readouterr().out
    assert ended[0]["updates"] == kept["updates"] + updates - 1000
    assert kept["seen"] < ended[0]["seen"]


def test_training_ends_when_it_gains_nothing(tmp_path: Path) -> None:
    found = folders.read(folder(tmp_path / "in"), tmp_path / "scores.json")
    recipe = own.recipe_for(tmp_path, "stale", 1, 1, found)
    recipe.training.tokens, recipe.training.patience_looks = 200_000, 2
    recipe.training.learning_rate = 0.0
    codec = own._codec(tmp_path, found)
    training.train(recipe, codec, found.scores["train"], found.scores["valid"], tmp_path)
    kept = torch.load(tmp_path / "checkpoint.pt")
    assert kept["worse_looks"] == 2
    assert kept["seen"] < 100_000


def untaught(made: Recipe, codec: Codec) -> Trained:
    members: list[Weights] = []
    for seed in range(made.network.members):
        torch.manual_seed(seed)
        network = training.network_for(made, codec, 0)
        weights = {name: value.numpy() for name, value in network.state_dict().items()}
        # So that they are not all of the opinion that everything is equally likely.
        members.append(weights | {"out.weight": 5 * weights["out.weight"]})
    return Trained(made, members)


def converted(trained: Trained, codec: Codec, scores: list[Any], path: Path) -> bytes:
    samples = export_tflite.calibration(trained, codec, scores)
    model = export_tflite.tflite(trained, codec, samples)
    export_tflite.write(trained.recipe, codec, model, scores, "", path)
    return model


@pytest.mark.parametrize("sizes", [TINY, SIZES], ids=["LSTM", "Transformer"])
def test_the_model_is_the_mean_of_its_networks_in_all_their_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: NetworkPart
) -> None:
    made, found = small(tmp_path, sizes)
    made.network = msgspec.structs.replace(sizes, members=2, keys=(0, 1, -2))
    codec, scores = own._codec(tmp_path, found), found.scores
    trained = untaught(made, codec)
    path = tmp_path / "mean.tflite"
    model = converted(trained, codec, scores["train"], path)
    in_float = training.float_nats_a_unit(trained, codec, scores["test"])
    first = Trained(made, trained.members[:1])
    assert abs(training.float_nats_a_unit(first, codec, scores["test"]) - in_float) > 0.01
    for runtime in RUNTIMES:
        monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
        measured = likelihood.nats_a_unit(model_file.load(path), scores["test"])
        assert measured == pytest.approx(in_float, rel=0.02), runtime
    if sizes is TINY:
        for weights, known in zip(trained.members, networks_of(model), strict=True):
            for name in ("embed.weight", "out.weight", "layers.0.weight_hh_l0"):
                most = np.abs(weights[name]).max()
                assert np.abs(weights[name] - known[name]).max() < 0.02 * most


# Attention


def random_features(tokens: int, lanes: int) -> torch.Tensor:
    return torch.randint(0, 30, (tokens, lanes, 3))


def network() -> transformer.MemoryNetwork:
    torch.manual_seed(1)
    net = transformer.MemoryNetwork(30, 9, SIZES, 0.0)
    net.eval()
    return net


@pytest.mark.parametrize("at_once", [1, 7, 24])
def test_a_token_sees_the_same_memory_wherever_in_a_chunk_it_stands(at_once: int) -> None:
    features, net = random_features(48, 2), network()
    whole, _ = net(features, None)
    state, parts = None, []
    for chunk in features.split(at_once):
        logits, state = net(chunk, state)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-5)
    alone, _ = net(features[16:], None)
    assert not torch.allclose(alone[0], whole[16], atol=1e-2)


def test_nothing_is_seen_of_what_is_to_come() -> None:
    features, net = random_features(12, 2), network()
    other = features.clone()
    other[8:] = random_features(4, 2)
    assert torch.allclose(net(features, None)[0][:8], net(other, None)[0][:8], atol=1e-5)


def test_a_lane_that_begins_has_forgotten() -> None:
    features, net = random_features(8, 2), network()
    _, state = net(random_features(8, 2), None)
    keep = torch.tensor([0.0, 1.0])[None, :, None]
    logits, _ = net(features, [(h * keep, c * keep) for h, c in state])
    afresh, _ = net(features, None)
    assert torch.allclose(logits[:, 0], afresh[:, 0], atol=1e-5)
    assert not torch.allclose(logits[:, 1], afresh[:, 1], atol=1e-3)


def small(tmp_path: Path, network: NetworkPart) -> tuple[Recipe, folders.Folder]:
    found = folders.read(folder(tmp_path / "in"), tmp_path / "scores.json")
    recipe = own.recipe_for(tmp_path, "small", 1, 1, found)
    recipe.network, recipe.training.lanes = network, 4
    return recipe, found


@pytest.mark.parametrize("sizes", [TINY, SIZES])
def test_every_kind_learns_for_as_long_as_its_recipe_says(
    tmp_path: Path, sizes: NetworkPart
) -> None:
    recipe, found = small(tmp_path, sizes)
    recipe.training.tokens, recipe.training.processor_s = 0, 3
    recipe.training.warmup_updates = 1
    codec = own._codec(tmp_path, found)
    began = time.process_time()
    training.train(recipe, codec, found.scores["train"], found.scores["valid"], tmp_path)
    assert time.process_time() - began >= 3
    kept = torch.load(tmp_path / "checkpoint.pt")
    assert 3 <= kept["spent_s"] < 6
    untaught = 3 * torch.log(torch.tensor(len(codec.vocabulary))).item()
    assert 0 < kept["best"] < untaught


# Conversion


def test_a_step_at_a_time_is_what_whole_chunks_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In floating point exactly; through the model file but for the rounding of int8."""
    recipe, found = small(tmp_path, SIZES)
    codec, scores = own._codec(tmp_path, found), found.scores["train"]
    recipe.training.tokens = 20_000
    weights = training.train(recipe, codec, scores, found.scores["valid"], tmp_path)
    net = training.network_for(recipe, codec, 0.0).eval()
    net.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
    piece = encode(codec, found.scores["valid"][0])
    assert len(piece.targets) > 5 * SIZES.memory_tokens
    with torch.no_grad():
        whole = net(torch.tensor(piece.features[:, None].astype(np.int64)), None)[0][:, 0].numpy()
    inputs = [[at for at in row if at >= 0] for row in piece.features.tolist()]

    trained = Trained(recipe, [weights])
    step = export_tflite.step_for(trained, codec)
    state = {name: np.zeros(shape, np.float32) for name, shape in step.states.items()}
    for active, expected in zip(inputs[:40], whole, strict=False):
        x = np.zeros((1, codec.width), np.float32)
        x[0, active] = 1
        told = step.function(x, *state.values())
        assert np.allclose(told["logits"][0], expected, atol=1e-4)
        for name, rows in state.items():
            state[name] = np.concatenate([rows[:, 1:], told[f"{name}_next"][:, None]], 1)

    path = tmp_path / "small.tflite"
    converted(trained, codec, scores, path)
    for runtime in RUNTIMES:
        monkeypatch.setenv(RUNTIME_VARIABLE, runtime)
        running = StepModel(model_file.load(path))
        stepped = np.array([running.step(active) for active in inputs])
        assert np.sqrt(np.mean((stepped - whole) ** 2)) < 0.1 * whole.std(), runtime
        assert plays(path) > 8


def test_the_calibration_shows_every_voice_and_a_state_within_its_bounds() -> None:
    codec = FourPartCodec(onsets=True, form=True)
    made = load(Path("models/chorales.toml"))
    made.network = NetworkPart(embedding=4, hidden=3, layers=2, keys=(0, 1))
    rng = np.random.default_rng(1)
    network = training.network_for(made, codec, 0.0)
    weights = {
        name: rng.normal(size=v.shape).astype("f4") for name, v in network.named_parameters()
    }
    for name in weights:
        if "bias_ih" in name:
            weights[name][:] = 9
    samples = list(export_tflite.calibration(Trained(made, [weights] * 2), codec, [OPENING] * 3)())
    assert len(samples) > 10
    turns = [sample["x"][0, codec._voice : codec._voice + VOICES] for sample in samples]
    assert np.any(turns, axis=0).all()
    networks = ("", "_2", "_3", "_4")  # two members, two keys
    states = {f"{kind}{layer}{of}" for kind in "hc" for layer in "01" for of in networks}
    assert all(set(s) == {"x", *states} for s in samples)
    own, higher = (np.concatenate([s[name] for s in samples]) for name in ("h1", "h1_2"))
    assert not np.allclose(own, higher), "both keys hear the same"
    cells = np.concatenate([s[name].ravel() for s in samples for name in states if "c" in name])
    assert np.abs(cells).max() <= CELL_LIMIT
    assert cells.any()


def test_the_naive_network_learns(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", 5)
    scores = free_rhythm_corpus.read(sorted(path.iterdir()), tmp_path / "scores.json")[0]
    before = window_baseline.windowed(scores[:4], scores[4:], 0.001)
    after = window_baseline.windowed(scores[:4], scores[4:], 10)
    assert after.nats < before.nats
    assert 0 <= after.right <= 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
