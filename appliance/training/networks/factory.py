"""Networks of every kind, untrained or with given weights."""

from __future__ import annotations

import torch
from torch import nn

from appliance.music.codecs.base import Codec
from appliance.training.networks.lstm import LstmNetwork
from appliance.training.networks.transformer import TransformerNetwork
from appliance.training.networks.transposition import transpose_weights
from appliance.training.recipe import NetworkConfig, TrainedModel, Weights


def make_network(config: NetworkConfig, codec: Codec, dropout: float = 0) -> nn.Module:
    """A network of the kind and size in ``config``, with random weights."""
    kind = TransformerNetwork if config.kind == "transformer" else LstmNetwork
    return kind(codec.width, len(codec.vocabulary), config, dropout)


def load_weights(network: nn.Module, weights: Weights) -> None:
    """Copy float32 weights into a network.

    Raises:
        RuntimeError: their names or shapes are not those of the network.
    """
    network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})


def averaged_networks(trained: TrainedModel, codec: Codec) -> list[nn.Module]:
    """The networks whose logits a model averages: each ensemble member in each transposition.

    Raises:
        RuntimeError: the weights do not fit the network of the recipe.
    """
    networks = []
    for weights in trained.ensemble:
        for semitones in trained.recipe.network.transpositions:
            network = make_network(trained.recipe.network, codec).eval()
            load_weights(network, transpose_weights(weights, codec, semitones))
            networks.append(network)
    return networks
