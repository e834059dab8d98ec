"""The Transformer with memory in PyTorch: embedding bag, blocks with attention, logits.

Every layer keeps the keys and values of the last ``memory_tokens`` tokens from chunk to chunk. A
token attends to exactly these and to itself, wherever in a chunk it is, so that running one token
at a time with a KV cache gives the same logits as running whole chunks. Places before the start
of the piece are zeros and can be attended to; a head attends there when it finds nothing else.
Positions are encoded by a learned bias for every head and distance.

Sources: Dai et al. 2019, "Transformer-XL: Attentive language models beyond a fixed-length
context", for the memory; Raffel et al. 2020, "Exploring the limits of transfer learning", for the
bias.

In the shapes, B is the batch, T the tokens of a chunk, M the memory, H the heads, D the size of a
head, C = H * D the width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from appliance.training.networks.lstm import State
from appliance.training.recipe import NetworkConfig

MASKED = -1e4
"""Added to the score of a place that must not be attended to; far enough, and still a bfloat16."""
MAX_SLOPE_EXPONENT = 8.0
"""The bias starts as a linear penalty on distance, with the slopes 2 ** -(8 * head / heads)
(Press et al. 2022, "Train short, test long")."""


class Block(nn.Module):
    """A pre-norm Transformer block: attention with memory, then a feed-forward layer."""

    def __init__(self, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        width, memory = config.hidden, config.memory_tokens
        self.heads, self.memory, self.dropout = config.heads, memory, dropout
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        slopes = 2 ** (-torch.arange(1, config.heads + 1) * MAX_SLOPE_EXPONENT / config.heads)
        self.bias = nn.Parameter(-slopes[:, None] * torch.arange(memory, -1, -1.0))
        """``(heads, memory + 1)``: from the largest distance to the distance 0."""
        self.project = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, config.feedforward)
        self.down = nn.Linear(config.feedforward, width)
        for residual in (self.project, self.down):
            nn.init.normal_(residual.weight, 0, 0.05 / (2 * config.layers) ** 0.5)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The output for every token of a chunk, and the memory after it.

        Args:
            x: float32 ``(batch, tokens, width)``.
            keys: floating point ``(batch, memory, width)``, of the tokens before the chunk.
            values: likewise.

        Returns:
            float32 ``(batch, tokens, width)``, and keys and values of the last ``memory`` tokens
            (bfloat16 under autocast).
        """
        batch, tokens, width = x.shape
        query, key, value = self.qkv(self.attention_norm(x)).split(width, -1)  # (B, T, C) each
        key = torch.cat([keys.to(key.dtype), key], 1)  # (B, M + T, C)
        value = torch.cat([values.to(value.dtype), value], 1)  # (B, M + T, C)
        memory = key[:, -self.memory :].detach(), value[:, -self.memory :].detach()
        q, k, v = (
            part.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)
            for part in (query * (width // self.heads) ** -0.5, key, value)
        )  # (B, H, T, D), (B, H, M + T, D), (B, H, M + T, D)
        scores = q @ k.transpose(2, 3) + banded_bias(self.bias.to(q.dtype), tokens)
        attention = scores.softmax(-1).to(v.dtype)  # (B, H, T, M + T)
        mixed = (attention @ v).transpose(1, 2)  # (B, T, H, D)
        mixed = self.project(mixed.reshape(batch, tokens, width))  # (B, T, C)
        x = x + drop(mixed, self.dropout, self.training)
        y = self.down(self.up(self.feedforward_norm(x)).relu())  # (B, T, C)
        return x + drop(y, self.dropout, self.training), *memory


def banded_bias(bias: Tensor, tokens: int) -> Tensor:
    """The attention bias by token and place, from the bias by distance.

    Args:
        bias: floating point ``(heads, memory + 1)``, from the largest distance to the distance 0.
        tokens: length of the chunk.

    Returns:
        the same dtype, ``(heads, tokens, memory + tokens)``: row i is ``bias`` shifted right by
        i, and ``MASKED`` elsewhere.
    """
    heads, reach = bias.shape
    places = reach - 1 + tokens
    rows = nn.functional.pad(bias, (0, tokens), value=MASKED)  # (H, places + 1)
    rows = rows[:, None].expand(-1, tokens, -1)  # (H, T, places + 1)
    # Read with rows one shorter than written, each row starts one place further to the left.
    return rows.flatten(1)[:, : tokens * places].view(heads, tokens, places)


def drop(x: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout of floating-point ``(batch, tokens, width)`` with one mask for all tokens.

    The result has the shape and dtype of ``x``. The LSTM uses such masks, too (Gal and Ghahramani
    2016).
    """
    if not training or probability == 0:
        return x
    kept = torch.rand(x.shape[0], 1, x.shape[2], device=x.device) > probability
    return x * (kept / (1 - probability)).to(x.dtype)


class TransformerNetwork(nn.Module):
    """Embedding bag, blocks with memory, linear output; called like ``LstmNetwork``."""

    def __init__(self, width: int, classes: int, config: NetworkConfig, dropout: float) -> None:
        super().__init__()
        self.config, self.dropout = config, dropout
        self.embed = nn.EmbeddingBag(width, config.hidden, mode="sum")
        nn.init.normal_(self.embed.weight, 0, 0.3)
        self.blocks = nn.ModuleList(Block(config, dropout) for _ in range(config.layers))
        self.final_norm = nn.LayerNorm(config.hidden)
        self.out = nn.Linear(config.hidden, classes)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Logits for every token of a chunk.

        Args:
            features: int64 ``(tokens, batch, k)``: the indices of the active inputs; negative
                ones are padding.
            state: the state after the chunk before, or None at the start. For each layer its
                keys and values, each ``(1, batch, memory * width)``.

        Returns:
            floating-point logits ``(tokens, batch, classes)``, and the state after the chunk.
        """
        tokens, batch, k = features.shape
        flat = features.transpose(0, 1).reshape(-1, k)  # (B * T, k)
        active = (flat >= 0).to(self.embed.weight.dtype)
        x = self.embed(flat.clamp(min=0), per_sample_weights=active)  # (B * T, C)
        x = x.view(batch, tokens, -1)  # (B, T, C)
        x = drop(x, self.dropout / 2, self.training)
        if state is None:
            zeros = x.new_zeros(1, batch, self.config.memory_tokens * self.config.hidden)
            state = [(zeros, zeros)] * self.config.layers
        next_state: State = []
        for block, memory in zip(self.blocks, state, strict=True):
            keys, values = (part.view(batch, -1, self.config.hidden) for part in memory)
            x, keys, values = block(x, keys, values)  # (B, T, C), (B, M, C), (B, M, C)
            next_state.append((keys.reshape(1, batch, -1), values.reshape(1, batch, -1)))
        return self.out(self.final_norm(x)).transpose(0, 1), next_state  # (T, B, classes)
