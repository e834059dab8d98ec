"""The LSTM network in PyTorch: embedding bag, LSTM layers, logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from appliance.training.recipe import NetworkConfig

State = list[tuple[Tensor, Tensor]]
"""What a network carries from chunk to chunk: a pair of float32 tensors for each layer, each
``(1, batch, size)``. For the LSTM these are the hidden and the cell state, of size ``hidden``."""


class LstmNetwork(nn.Module):
    """Embedding bag, LSTM layers, linear output; conversion rebuilds the same step in TFLite.

    Dropout keeps one mask for a whole chunk (Gal and Ghahramani 2016), so that it drops features
    of the sequence and does not add noise between two notes.
    """

    def __init__(self, width: int, classes: int, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(width, config.embedding, mode="sum")
        nn.init.normal_(self.embed.weight, 0, 0.3)
        input_sizes = [config.embedding] + [config.hidden] * (config.layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(size, config.hidden) for size in input_sizes)
        self.out = nn.Linear(config.hidden, classes)
        self.dropout = dropout

    def _drop(self, x: Tensor, probability: float) -> Tensor:
        if not self.training or probability == 0:
            return x
        return x * (torch.rand(1, *x.shape[1:]) > probability) / (1 - probability)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits for every token of a chunk.

        Args:
            features: int64 ``(tokens, batch, k)``: the indices of the active inputs; negative
                ones are padding.
            state: the state after the chunk before, or None at the start.

        Returns:
            floating-point logits ``(tokens, batch, classes)``, and the state after the chunk.
        """
        tokens, batch, k = features.shape
        flat = features.reshape(-1, k)  # (T * B, k)
        active = (flat >= 0).to(self.embed.weight.dtype)
        x = self.embed(flat.clamp(min=0), per_sample_weights=active)  # (T * B, E)
        x = x.reshape(tokens, batch, -1)  # (T, B, E)
        x = self._drop(x, self.dropout / 2)
        next_state: State = []
        for number, layer in enumerate(self.layers):
            x, layer_state = layer(x, state[number] if state else None)  # (T, B, H)
            x = self._drop(x, self.dropout)
            next_state.append(layer_state)
        return self.out(x), next_state  # (T, B, C)
