"""A training can start from the weights in a model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.composing.interpreter import StepModel
from appliance.errors import UsageError
from appliance.training import recipe
from appliance.training.networks.transposition import transpose_weights
from appliance.training.networks.warm_start import (
    load_networks,
    networks_from_tflite,
    with_wider_input,
)
from appliance.training.recipe import Weights
from tests.support.making_music import MODEL, OPENING, parts_of


def logits(weights: Weights, features: list[list[int]]) -> list[NDArray[np.float32]]:
    """The logits of the float network, step by step."""
    state = [(np.zeros(512, np.float32), np.zeros(512, np.float32))] * 2
    found = []
    for active in features:
        y = weights["embed.weight"][active].sum(axis=0)
        for layer, (h, c) in enumerate(state):
            prefix = f"layers.{layer}."
            summed = weights[prefix + "weight_ih_l0"] @ y + weights[prefix + "weight_hh_l0"] @ h
            i, f, g, o = np.split(summed + weights[prefix + "bias_ih_l0"], 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            y = np.tanh(c) / (1 + np.exp(-o))
            state[layer] = (y, c)
        found.append(weights["out.weight"] @ y + weights["out.bias"])
    return found


def test_dequantised_weights_predict_as_the_model_file_does() -> None:
    shipped = model_file.load(MODEL)
    features = shipped.codec.encode(OPENING)[0]
    model = StepModel(shipped)
    (weights,) = networks_from_tflite(parts_of()[0])
    network = recipe.load(MODEL.with_suffix(".toml")).network
    transposed = [
        logits(transpose_weights(weights, shipped.codec, semitones), features)
        for semitones in network.transpositions
    ]
    float_logits = np.mean(transposed, axis=0)
    int8_logits = [model.step(active) for active in features]
    same = sum(a.argmax() == b.argmax() for a, b in zip(float_logits, int8_logits, strict=True))
    assert same >= 0.9 * len(features)
    assert np.corrcoef(np.ravel(float_logits), np.ravel(int8_logits))[0, 1] > 0.99


def test_new_inputs_have_zero_weights() -> None:
    weights: Weights = {"embed.weight": np.ones((3, 2), np.float32)}
    assert with_wider_input(weights, 5)["embed.weight"].tolist() == [[1, 1]] * 3 + [[0, 0]] * 2
    with pytest.raises(UsageError, match="3 inputs, the codec only 2"):
        with_wider_input(weights, 2)


def test_the_weights_that_the_recipe_starts_from_are_in_the_repository() -> None:
    made = recipe.load(MODEL.with_suffix(".toml"))
    (weights,) = load_networks(Path(made.training.warm_start))
    assert weights["embed.weight"].shape[1] == made.network.embedding
    assert weights["layers.1.weight_hh_l0"].shape == (2048, 512)
    wider = with_wider_input(weights, model_file.load(MODEL).codec.width)
    assert len(wider["embed.weight"]) > len(weights["embed.weight"])


def test_a_missing_warm_start_file_is_named() -> None:
    with pytest.raises(UsageError, match=r"models/none\.tflite"):
        load_networks(Path("models/none.tflite"))
