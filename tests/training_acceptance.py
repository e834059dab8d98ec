"""The workshop really trains, with tiny networks: `make test-training` (needs the extra train)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import torch

from appliance import cli
from appliance.music import bundle
from appliance.music.composer import Composer
from appliance.music.notes import Kind
from appliance.training import attention, convert, evaluate, linescorpus, own, window
from appliance.training import folder as folders
from appliance.training import train as training
from appliance.training.network import StepNetwork
from appliance.training.recipe import NetworkPart, Weights
from appliance.training.start import networks_of
from tests.training.scores import folder, tune

TINY = NetworkPart(embedding=16, hidden=24, layers=1)
SIZES = attention.Sizes(width=16, layers=2, heads=2, memory_tokens=24, dropout=0.0)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(own, "NETWORK", TINY)
    monkeypatch.setattr(own, "LEAST_TOKENS", 6000)
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def made(source: Path, name: str, *more: str) -> Path:
    arguments = ["train", str(source), "--name", name, "--minutes", "0.01", *more]
    assert cli.run(arguments) == 0
    return Path(bundle.find(name, [own.working_folder(name).parents[3] / "data/bachbox/models"]))


def plays(path: Path) -> int:
    composer = Composer(bundle.load(path), seed=1)
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
    monkeypatch.setattr(own, "LEAST_TOKENS", 30_000)
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


def test_the_model_is_the_mean_of_its_networks_in_all_their_keys(tmp_path: Path) -> None:
    found = folders.read(folder(tmp_path / "in"), tmp_path / "scores.json")
    made = own.recipe_for(tmp_path, "mean", 1, 1, found)
    made.network.members, made.network.keys = 2, (0, 1, -2)
    codec = own._codec(tmp_path, found)
    members: list[Weights] = []
    for seed in range(2):
        torch.manual_seed(seed)
        network = StepNetwork(codec.width, len(codec.vocabulary), made.network, 0)
        members.append({name: value.numpy() for name, value in network.state_dict().items()})
    samples = convert.calibration(made, codec, members, found.scores["train"])
    model = convert.tflite(made, codec, members, samples)
    path = tmp_path / "mean.tflite"
    convert.write(made, codec, model, found.scores["train"], "", path)
    in_float = training.float_nats_a_unit(made, codec, members, found.scores["test"])
    assert evaluate.nats_a_unit(bundle.load(path), found.scores["test"]) == pytest.approx(
        in_float, rel=0.02
    )
    again = networks_of(model)
    for weights, known in zip(members, again, strict=True):
        for name in ("embed.weight", "out.weight", "layers.0.weight_hh_l0"):
            assert np.abs(weights[name] - known[name]).max() < 0.02 * np.abs(weights[name]).max()


# Attention


def random_features(tokens: int, lanes: int) -> torch.Tensor:
    return torch.randint(0, 30, (tokens, lanes, 3))


def network() -> attention.MemoryNetwork:
    torch.manual_seed(1)
    net = attention.MemoryNetwork(30, 9, SIZES)
    net.eval()
    return net


def test_what_is_remembered_is_what_was_there() -> None:
    features, net = random_features(24, 2), network()
    whole, _ = net(features, None)
    state, parts = None, []
    for at in range(0, 24, 8):
        logits, state = net(features[at : at + 8], state)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts), whole, atol=1e-4)
    alone, _ = net(features[16:], None)
    assert not torch.allclose(alone, whole[16:], atol=1e-2)


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


def test_both_learn_in_the_same_time(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", 5)
    scores = linescorpus.read(sorted(path.iterdir()), tmp_path / "scores.json")[0]
    found = folders.read(path, tmp_path / "scores.json")
    recipe = own.recipe_for(path, "both", 1, 1, found)
    lines = attention.compared(
        recipe, {"train": scores[:3], "valid": scores[3:], "test": []}, 2.0, SIZES
    )
    assert [line.split(": ")[1].split()[0] for line in lines] == ["LSTM", "Transformer"]
    codec = linescorpus.codec_for(scores)
    untaught = 3 * torch.log(torch.tensor(len(codec.vocabulary))).item()
    assert all(0 < float(line.split()[0]) < untaught for line in lines)


def test_the_naive_network_learns(tmp_path: Path) -> None:
    path = folder(tmp_path / "in", 5)
    scores = linescorpus.read(sorted(path.iterdir()), tmp_path / "scores.json")[0]
    before = window.windowed(scores[:4], scores[4:], 0.001)
    after = window.windowed(scores[:4], scores[4:], 10)
    assert after.nats < before.nats
    assert 0 <= after.right <= 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__]))
