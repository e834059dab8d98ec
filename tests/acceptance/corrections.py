"""Corrections: composed music comes nearer to real music in what its tokens have in common.

Needs the training packages; `make test-training` runs it.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.training import pipeline
from appliance.training.corrections import Corrector, Rows, correct, fitted
from appliance.training.data.score_folder import read_folder
from appliance.training.recipe import CorrectionConfig, NetworkConfig, load
from tests.support.making_music import MODELS
from tests.support.scores import folder

NETWORK = NetworkConfig(
    kind="transformer", hidden=16, layers=2, heads=2, feedforward=24, memory_tokens=10
)


def tokens(*counts: tuple[int, tuple[int, ...]]) -> Rows:
    """So many tokens with these aspects."""
    return [np.array(aspects, np.intp) for count, aspects in counts for _ in range(count)]


def test_a_correction_is_the_log_of_how_much_likelier_real_music_has_the_aspect() -> None:
    real = tokens((600, (0,)), (400, (1,)))
    composed = tokens((40, (0,)), (160, (1,)))
    weights = fitted(real, composed, count=3, strength=1e4)
    assert weights[0] - weights[1] == pytest.approx(
        math.log(0.6 / 0.2) - math.log(0.4 / 0.8), abs=0.02
    )
    assert weights[2] == 0


def test_music_is_corrected_towards_real_music(tmp_path: Path) -> None:
    corpus = read_folder(folder(tmp_path / "in"), tmp_path / "scores.json").corpus
    recipe = load(MODELS / "keyboard.toml")
    recipe.network, recipe.corrections = NETWORK, CorrectionConfig(rounds=1, pieces=6)
    recipe.training = msgspec.structs.replace(
        recipe.training, tokens=4000, cpu_budget_s=0, batch_size=4, bptt_tokens=64
    )
    path = tmp_path / "keyboard.tflite"
    pipeline.make_model(recipe, corpus, tmp_path / "work", path)
    before = model_file.load(path)
    corrector = Corrector(recipe.corrections, corpus, before)
    count = before.codec.aspect_layout.width

    def shares(rows: Rows) -> NDArray[np.float64]:
        return np.bincount(np.concatenate(rows), minlength=count) / len(rows)

    real = shares(corrector._rows)
    plain = corrector.compose([], 0)
    corrected = corrector.compose(corrector.corrected(plain), 1)
    assert np.abs(shares(corrected.rows) - real).sum() < np.abs(shares(plain.rows) - real).sum()

    lines = pipeline.correct_model(recipe, corpus, path)
    assert len(lines) == 2
    after = model_file.load(path)
    assert after.metadata.corrections == correct(recipe.corrections, corpus, path)[0]
    assert len(after.corrections) in (0, count + 1)
    assert after.flatbuffer == before.flatbuffer
