"""The network, in PyTorch: a multi-hot look-up, recurrent layers, a softmax."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from appliance.training.recipe import NetworkPart

State = list[tuple[Tensor, Tensor]]
"""Hidden and cell state of every layer, each ``(1, lanes, hidden)``."""


class StepNetwork(nn.Module):
    """Embedding bag -> LSTM layers -> logits; conversion rebuilds the same step in TFLite.

    Dropout keeps one mask for a whole chunk (Gal & Ghahramani 2016), so that what is
    dropped is a feature of the sequence and not noise between two notes.
    """

    def __init__(self, width: int, classes: int, sizes: NetworkPart, dropout: float) -> None:
        super().__init__()
        self.embed = nn.EmbeddingBag(width, sizes.embedding, mode="sum")
        nn.init.normal_(self.embed.weight, 0, 0.3)
        inputs = [sizes.embedding] + [sizes.hidden] * (sizes.layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(n, sizes.hidden) for n in inputs)
        self.out = nn.Linear(sizes.hidden, classes)
        self.dropout = dropout

    def _drop(self, x: Tensor, share: float) -> Tensor:
        if not self.training or share == 0:
            return x
        return x * (torch.rand(1, *x.shape[1:]) > share) / (1 - share)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits for every token of a chunk.

        Args:
            features: ``(tokens, lanes, k)`` int64, the active indices of each input;
                negative ones are none.
            state: what :meth:`forward` returned for the chunk before, or ``None``.

        Returns:
            logits ``(tokens, lanes, classes)`` and the state after the chunk.
        """
        tokens, lanes, k = features.shape
        flat = features.reshape(-1, k)
        there = (flat >= 0).to(self.embed.weight.dtype)
        x = self.embed(flat.clamp(min=0), per_sample_weights=there).reshape(tokens, lanes, -1)
        x = self._drop(x, self.dropout / 2)
        after: State = []
        for number, layer in enumerate(self.layers):
            x, new = layer(x, state[number] if state else None)
            x = self._drop(x, self.dropout)
            after.append(new)
        return self.out(x), after
