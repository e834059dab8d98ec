"""Real inputs and states, from which the converter derives the scales of int8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from appliance.music.codecs.base import Codec
from appliance.training.convert.ensemble_step import ensemble_step
from appliance.training.convert.step import Array, Samples
from appliance.training.data.batches import encode
from appliance.training.networks.factory import averaged_networks
from appliance.training.recipe import TrainedModel

PIECES = 12
TOKENS_PER_PIECE = 3000
STRIDE = 29
"""Every STRIDE-th token is a sample; odd, so that the samples come from all voices."""


def calibration_samples(trained: TrainedModel, codec: Codec, scores: Sequence[Any]) -> Samples:
    """Inputs and states that the float networks have on real music.

    Args:
        trained: the model to convert.
        codec: encodes the scores.
        scores: training pieces; some are chosen by the seed of the recipe.

    Returns:
        samples of float32 arrays; their shapes are those of the inputs of the step.

    Raises:
        RuntimeError: the weights do not fit the network of the recipe.
        ValueError: the codec cannot encode a score.
    """
    step = ensemble_step(trained, codec)
    rng = np.random.default_rng(trained.recipe.training.seed)
    chosen = [
        (scores[n], int(rng.choice(codec.transpositions(scores[n]))))
        for n in rng.permutation(len(scores))[:PIECES]
    ]
    pieces = [encode(codec, score.transposed(shift) if shift else score) for score, shift in chosen]
    samples: list[dict[str, Array]] = []
    networks = averaged_networks(trained, codec)
    for piece in pieces:
        states: list[Any] = [None] * len(networks)
        features = piece.features[:TOKENS_PER_PIECE, None].astype(np.int64)  # (T, 1, k)
        for chunk in torch.tensor(features).split(STRIDE):
            # The states before the first token of the chunk; none at the start of the piece.
            carried = [part for state in states if state for layer in state for part in layer]
            x = np.zeros((1, codec.width), np.float32)
            x[0, [index for index in chunk[0, 0].tolist() if index >= 0]] = 1
            sample = {"x": x}
            for number, (name, shape) in enumerate(step.state_shapes.items()):
                value = carried[number].numpy() if carried else np.zeros(shape, np.float32)
                sample[name] = value.reshape(shape).clip(-step.state_limit, step.state_limit)
            samples.append(sample)
            with torch.no_grad():
                states = [
                    network(chunk, state)[1]
                    for network, state in zip(networks, states, strict=True)
                ]
    return lambda: iter(samples)
