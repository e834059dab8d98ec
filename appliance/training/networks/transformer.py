"""The Transformer with memory, in PyTorch: a multi-hot look-up, attention to what was, a softmax.

Every layer keeps the keys and values of the last ``memory_tokens`` tokens from chunk to chunk, and
a token attends to exactly these and to itself, wherever in a chunk it stands; so one step at a
time, with the memory carried by the runtime, gives what whole chunks give. Places before the
piece are zeros, and can be looked at: they are where a head looks that has nothing to look for.
Where a key stands is told by a learned bias for every head and distance. Sources: Dai et al.
2019, "Transformer-XL: Attentive language models beyond a fixed-length context", for the memory;
Raffel et al. 2020, "Exploring the limits of transfer learning", for the bias.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from appliance.training.networks.lstm import State
from appliance.training.recipe import NetworkPart

NEVER = -1e4
"""Added to the score of a place that must not be seen."""
STEEPEST = 8.0
"""Heads begin with a bias against distance that halves so often from the first to the last
(Press et al. 2022, "Train short, test long")."""


class Block(nn.Module):
    """Attention to what was before, and a layer for each token alone."""

    def __init__(self, sizes: NetworkPart, dropout: float) -> None:
        super().__init__()
        width, memory = sizes.hidden, sizes.memory_tokens
        self.heads, self.memory, self.dropout = sizes.heads, memory, dropout
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        slopes = 2 ** (-torch.arange(1, sizes.heads + 1) * STEEPEST / sizes.heads)
        self.bias = nn.Parameter(-slopes[:, None] * torch.arange(memory, -1, -1.0))
        """``(heads, memory + 1)``, the furthest distance first, zero last."""
        self.mix = nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, sizes.inner), nn.Linear(sizes.inner, width)
        for last in (self.mix, self.down):
            nn.init.normal_(last.weight, 0, 0.05 / (2 * sizes.layers) ** 0.5)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What comes out for every token of a chunk, and the memory after it.

        Args:
            x: ``(lanes, tokens, width)``.
            keys: ``(lanes, memory, width)``, of the tokens before the chunk.
            values: the same.
        """
        lanes, tokens, width = x.shape
        query, key, value = self.queries_keys_values(self.before(x)).split(width, -1)
        key = torch.cat([keys.to(key.dtype), key], 1)
        value = torch.cat([values.to(value.dtype), value], 1)
        after = key[:, -self.memory :].detach(), value[:, -self.memory :].detach()
        q, k, v = (
            part.view(lanes, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (query * (width // self.heads) ** -0.5, key, value)
        )
        scores = q @ k.transpose(2, 3) + banded(self.bias.to(q.dtype), tokens)
        seen = (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2)
        x = x + dropped(self.mix(seen.reshape(lanes, tokens, width)), self.dropout, self.training)
        alone = self.down(self.up(self.between(x)).relu())
        return x + dropped(alone, self.dropout, self.training), *after


def banded(bias: Tensor, tokens: int) -> Tensor:
    """From a bias by distance to one by place, the places out of reach at ``NEVER``.

    Args:
        bias: ``(heads, memory + 1)``, the furthest distance first.
        tokens: of a chunk.

    Returns:
        ``(heads, tokens, memory + tokens)``: row i is moved to the right by i.
    """
    heads, reach = bias.shape
    places = reach - 1 + tokens
    rows = nn.functional.pad(bias, (0, tokens), value=NEVER)[:, None].expand(-1, tokens, -1)
    return rows.flatten(1)[:, : tokens * places].view(heads, tokens, places)


def dropped(x: Tensor, share: float, training: bool) -> Tensor:
    """Dropout with one mask for the whole chunk, as in the LSTM; ``(lanes, tokens, width)``."""
    if not training or share == 0:
        return x
    kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) > share
    return x * (kept / (1 - share)).to(x.dtype)


class MemoryNetwork(nn.Module):
    """Embedding bag -> blocks with memory -> logits; called as ``StepNetwork`` is.

    The state is a pair a layer, keys and values, each ``(1, lanes, memory * width)``.
    """

    def __init__(self, width: int, classes: int, sizes: NetworkPart, dropout: float) -> None:
        super().__init__()
        self.sizes, self.dropout = sizes, dropout
        self.embed = nn.EmbeddingBag(width, sizes.hidden, mode="sum")
        nn.init.normal_(self.embed.weight, 0, 0.3)
        self.blocks = nn.ModuleList(Block(sizes, dropout) for _ in range(sizes.layers))
        self.last = nn.LayerNorm(sizes.hidden)
        self.out = nn.Linear(sizes.hidden, classes)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See :meth:`appliance.training.networks.lstm.StepNetwork.forward`."""
        tokens, lanes, k = features.shape
        flat = features.transpose(0, 1).reshape(-1, k)
        there = (flat >= 0).to(self.embed.weight.dtype)
        x = self.embed(flat.clamp(min=0), per_sample_weights=there).view(lanes, tokens, -1)
        x = dropped(x, self.dropout / 2, self.training)
        if state is None:
            nothing = x.new_zeros(1, lanes, self.sizes.memory_tokens * self.sizes.hidden)
            state = [(nothing, nothing)] * self.sizes.layers
        after: State = []
        for block, before in zip(self.blocks, state, strict=True):
            x, *memory = block(x, *(part.view(lanes, -1, self.sizes.hidden) for part in before))
            keys, values = (part.reshape(1, lanes, -1) for part in memory)
            after.append((keys, values))
        return self.out(self.last(x)).transpose(0, 1), after
