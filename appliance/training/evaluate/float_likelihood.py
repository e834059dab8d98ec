"""The likelihood of held-out pieces under networks in floating point, before conversion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from appliance.music.codecs.base import Codec
from appliance.training.data.batches import IGNORE_INDEX, EncodedPiece, encode, pad
from appliance.training.networks.factory import averaged_networks
from appliance.training.networks.lstm import State
from appliance.training.recipe import TrainedModel

BATCH_SIZE = 12
CHUNK_TOKENS = 240


class EvaluationPiece(NamedTuple):
    """A piece to be evaluated on."""

    encoded: EncodedPiece
    token_count: int
    """How many tokens count, from the first on."""
    unit_count: int
    """How many of the codec's units these tokens are."""


def encode_for_evaluation(codec: Codec, scores: Sequence[Any]) -> list[EvaluationPiece]:
    """Scores of the codec's kind as pieces to be evaluated on.

    Raises:
        ValueError: the codec cannot encode a score.
    """
    return [EvaluationPiece(encode(codec, score), *codec.loss_counts(score)) for score in scores]


def model_nll_per_unit(trained: TrainedModel, codec: Codec, scores: Sequence[Any]) -> float:
    """The negative log-likelihood of a trained model in floating point, in nats per unit.

    Beside the figure of the model file it tells what the conversion to int8 costs.

    Raises:
        RuntimeError: the weights do not fit the network of the recipe.
        ValueError: the codec cannot encode a score.
    """
    return nll_per_unit(averaged_networks(trained, codec), encode_for_evaluation(codec, scores))


@torch.no_grad()
def nll_per_unit(networks: Sequence[nn.Module], pieces: Sequence[EvaluationPiece]) -> float:
    """The negative log-likelihood of whole pieces in nats per unit, teacher-forced.

    The logits of the networks are averaged. The unit is the codec's: one 16th step of all four
    voices, one note, or one character.
    """
    for network in networks:
        network.eval()
    ordered = sorted(pieces, key=lambda piece: piece.token_count)
    batches = [ordered[n : n + BATCH_SIZE] for n in range(0, len(ordered), BATCH_SIZE)]
    total = sum(_batch_nll(networks, batch) for batch in batches)
    return total / sum(piece.unit_count for piece in pieces)


def _batch_nll(networks: Sequence[nn.Module], pieces: Sequence[EvaluationPiece]) -> float:
    """The negative log-likelihood of some pieces together, in nats."""
    max_tokens = max(len(piece.encoded.targets) for piece in pieces)
    starts = np.ones(len(pieces), bool)
    batch = pad([piece.encoded for piece in pieces], max_tokens, starts)
    targets = torch.tensor(batch.targets)  # (T, B)
    for row, piece in enumerate(pieces):
        targets[piece.token_count :, row] = IGNORE_INDEX
    states: list[State | None] = [None] * len(networks)
    total = 0.0
    for first in range(0, max_tokens, CHUNK_TOKENS):
        chunk = slice(first, first + CHUNK_TOKENS)
        features = torch.tensor(batch.features[chunk])  # (T, B, k)
        logits = torch.zeros(())
        for number, network in enumerate(networks):
            network_logits, states[number] = network(features, states[number])
            logits = logits + network_logits.float()  # (T, B, classes)
        total += nn.functional.cross_entropy(
            (logits / len(networks)).flatten(0, 1),
            targets[chunk].flatten(),
            ignore_index=IGNORE_INDEX,
            reduction="sum",
        ).item()
    return total
