"""The temperatures by which a model's logits are calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.composing import model_file
from appliance.composing.interpreter import StepModel
from appliance.errors import BachboxError
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.convert import kind_temperatures
from tests.support.making_music import MODEL, MODELS, OPENING, altered


def calibrated(path: Path, *temperatures: list[float]) -> Path:
    def change(about: dict[str, Any]) -> None:
        about["kind_temperatures"] = temperatures

    return altered(path / "model.tflite", change)


def test_the_logits_of_each_kind_are_divided_by_its_temperature(tmp_path: Path) -> None:
    plain = StepModel(model_file.load(calibrated(tmp_path))).step([0, 5])
    path = calibrated(tmp_path, [0, 10, 2.0], [40, 8, 0.5])
    found = StepModel(model_file.load(path)).step([0, 5])

    divided_by = np.repeat([2.0, 1.0, 0.5], [10, 30, 8])
    assert found * divided_by == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize(
    "wrong", [[0, 49, 1.0], [47, 2, 1.0], [0, 8, 0.0], [0, 8, 100], [-1, 8, 1]]
)
def test_temperatures_that_make_no_sense_are_refused(tmp_path: Path, wrong: list[float]) -> None:
    with pytest.raises(BachboxError, match=r"calibrates|kind_temperatures"):
        model_file.load(calibrated(tmp_path, wrong))


def test_every_token_is_of_one_kind() -> None:
    for name in ("keyboard", "chorales", "folk"):
        codec = model_file.load(MODELS / f"{name}.tflite").codec
        groups = kind_temperatures.kinds(codec)
        assert [token for group in groups for token in group] == [*range(len(codec.vocabulary))]
        assert len(groups) == (3 if isinstance(codec, FreeRhythmCodec) else 1)


def test_the_temperature_is_found_by_which_a_model_is_too_sure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = model_file.load(MODELS / "keyboard.tflite")
    times, pitches, lengths = kind_temperatures.kinds(model.codec)
    rng = np.random.default_rng(1)
    logits, told = [], []
    for group, too_sure in ((times, 1.3), (pitches, 1.0), (lengths, 1.6)):
        truth = rng.normal(0, 2, (4000, len(group)))
        shares = np.exp(truth) / np.exp(truth).sum(1, keepdims=True)
        told += [group.start + int(rng.choice(len(group), p=row)) for row in shares]
        said = np.full((4000, len(model.vocabulary)), -50, np.float32)
        said[:, group.start : group.stop] = truth * too_sure
        logits.append(said)
    forced = np.concatenate(logits), np.array(told)
    monkeypatch.setattr(kind_temperatures, "_forced_logits", lambda *_: forced)

    found = kind_temperatures.fit_kind_temperatures(model, [])
    assert [(first, count) for first, count, _ in found] == [
        (group.start, len(group)) for group in (times, pitches, lengths)
    ]
    assert [temperature for *_, temperature in found] == pytest.approx([1.3, 1.0, 1.6], abs=0.1)


def test_the_true_tokens_are_told_at_every_place() -> None:
    model = model_file.load(MODEL)
    logits, told = kind_temperatures._forced_logits(model, [OPENING, OPENING])
    count, _ = model.codec.loss_counts(OPENING)
    assert logits.shape == (2 * count, len(model.vocabulary))
    assert list(told[:count]) == model.codec.encode(OPENING)[1][:count]
    assert logits[0] == pytest.approx(logits[count])
