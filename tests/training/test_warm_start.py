"""What a training begins with is what the model file knows."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.composing.interpreter import StepModel
from appliance.errors import UsageError
from appliance.training import recipe
from appliance.training.networks.transposition import moved
from appliance.training.networks.warm_start import from_history, with_wider_input, networks_from_tflite
from appliance.training.recipe import Weights
from tests.support.making_music import MODEL, OPENING, parts_of


def logits(weights: Weights, features: list[list[int]]) -> list[NDArray[np.float32]]:
    """The float network, step by step."""
    state = [(np.zeros(512, np.float32), np.zeros(512, np.float32))] * 2
    found = []
    for ones in features:
        y = weights["embed.weight"][ones].sum(axis=0)
        for layer, (h, c) in enumerate(state):
            of = f"layers.{layer}."
            summed = weights[of + "weight_ih_l0"] @ y + weights[of + "weight_hh_l0"] @ h
            i, f, g, o = np.split(summed + weights[of + "bias_ih_l0"], 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            y = np.tanh(c) / (1 + np.exp(-o))
            state[layer] = (y, c)
        found.append(weights["out.weight"] @ y + weights["out.bias"])
    return found


def test_the_weights_behind_a_file_answer_as_the_file_does() -> None:
    shipped = model_file.load(MODEL)
    features = shipped.codec.encode(OPENING)[0]
    model = StepModel(shipped)
    (weights,) = networks_from_tflite(parts_of()[0])
    keys = recipe.load(MODEL.with_suffix(".toml")).network.keys
    in_keys = [logits(moved(weights, shipped.codec, key), features) for key in keys]
    float_says = np.mean(in_keys, axis=0)
    int8_says = [model.step(ones) for ones in features]
    same = sum(a.argmax() == b.argmax() for a, b in zip(float_says, int8_says, strict=True))
    assert same >= 0.9 * len(features)
    assert np.corrcoef(np.ravel(float_says), np.ravel(int8_says))[0, 1] > 0.99


def test_what_is_new_in_the_input_has_no_say_at_first() -> None:
    weights: Weights = {"embed.weight": np.ones((3, 2), np.float32)}
    assert with_wider_input(weights, 5)["embed.weight"].tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    with pytest.raises(UsageError, match="3 inputs, the codec only 2"):
        with_wider_input(weights, 2)


def test_a_start_that_git_does_not_know_is_named() -> None:
    with pytest.raises(UsageError, match="nowhere:models"):
        from_history("nowhere:models/none.tflite")
