"""Attention beside recurrence: ``python -m appliance.training.attention --data FOLDER``.

A small Transformer with memory (relative positions, the layers' inputs of the last tokens kept
from chunk to chunk, their keys and values computed from these) learns ``keyboard`` for the same
processor time as the LSTM of its recipe: the same pieces, the same inputs, the same tokens,
about as many weights. Source: Dai et al. 2019, "Transformer-XL: Attentive language models beyond
a fixed-length context".
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from appliance.errors import BachboxError
from appliance.music.codec import Codec
from appliance.training import corpus, linescorpus, recipe
from appliance.training.batches import IGNORED, Keys, chunks, pad
from appliance.training.network import State, StepNetwork
from appliance.training.recipe import Recipe
from appliance.training.timed import Budget
from appliance.training.train import GROUP, Measured, measured, update

log = logging.getLogger(__name__)


class Sizes(NamedTuple):
    """Of the Transformer; these have about as many weights as the recipe's LSTM of 2 x 448."""

    width: int = 240
    layers: int = 4
    heads: int = 6
    memory_tokens: int = 240
    dropout: float = 0.1


TRANSFORMER_RATE = 1e-3
"""Highest learning rate of the Transformer; the LSTM has its recipe's."""
CHUNK_TOKENS = 120


class Block(nn.Module):
    """Attention to what was before, and a layer for each token alone."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.width
        self.heads = sizes.heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width, bias=False)
        self.key_value = nn.Linear(width, 2 * width, bias=False)
        self.distance = nn.Linear(width, width, bias=False)
        self.of_content = nn.Parameter(torch.zeros(sizes.heads, width // sizes.heads))
        self.of_distance = nn.Parameter(torch.zeros(sizes.heads, width // sizes.heads))
        self.mix = nn.Linear(width, width, bias=False)
        self.alone = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.drop = nn.Dropout(sizes.dropout)

    def forward(self, x: Tensor, memory: Tensor, positions: Tensor, hidden: Tensor) -> Tensor:
        """What comes out for every token of a chunk.

        Args:
            x: ``(tokens, lanes, width)``.
            memory: ``(memory, lanes, width)``, inputs of this layer before the chunk.
            positions: ``(memory + tokens, width)``, of the distances, the furthest first.
            hidden: ``(tokens, memory + tokens, lanes, 1)``, true for what must not be seen.
        """
        tokens, lanes, width = x.shape
        at_heads = (-1, lanes, self.heads, width // self.heads)
        query = self.query(self.before(x)).view(at_heads)
        everything = self.before(torch.cat([memory, x]))
        key, value = (part.view(at_heads) for part in self.key_value(everything).chunk(2, -1))
        distance = self.distance(positions).view(-1, self.heads, width // self.heads)
        scores = torch.einsum("ibhd,jbhd->ijbh", query + self.of_content, key)
        scores = scores + shifted(
            torch.einsum("ibhd,jhd->ijbh", query + self.of_distance, distance)
        )
        scores = (scores / (width // self.heads) ** 0.5).masked_fill(hidden, -1e4)
        seen = torch.einsum("ijbh,jbhd->ibhd", scores.softmax(1).to(value.dtype), value)
        x = x + self.drop(self.mix(seen.reshape(tokens, lanes, width)))
        return x + self.drop(self.alone(self.between(x)))


def shifted(scores: Tensor) -> Tensor:
    """From scores by distance to scores by place.

    Row i of ``(tokens, places, ...)`` has its distances ending at its own place in the last
    column; it is moved to the left by ``tokens - 1 - i``.
    """
    tokens, places, *rest = scores.shape
    padded = torch.cat([scores.new_zeros(tokens, 1, *rest), scores], 1)
    return padded.view(places + 1, tokens, *rest)[1:].view(tokens, places, *rest)


class MemoryNetwork(nn.Module):
    """Embedding bag -> blocks with memory -> logits; called as :class:`StepNetwork` is.

    The state is a pair a layer, lanes in the middle: the layer's last inputs, and ones where
    there are any, so that zeroing a lane of both makes it forget.
    """

    def __init__(self, width: int, classes: int, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.embed = nn.EmbeddingBag(width, sizes.width, mode="sum")
        nn.init.normal_(self.embed.weight, 0, 0.3)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.last = nn.LayerNorm(sizes.width)
        self.out = nn.Linear(sizes.width, classes)
        self.drop = nn.Dropout(sizes.dropout)

    def forward(self, features: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See :meth:`StepNetwork.forward`."""
        tokens, lanes, k = features.shape
        flat = features.reshape(-1, k)
        there = (flat >= 0).to(self.embed.weight.dtype)
        x = self.embed(flat.clamp(min=0), per_sample_weights=there).reshape(tokens, lanes, -1)
        x = self.drop(x)
        memory = self.sizes.memory_tokens
        if state is None:
            nothing = x.new_zeros(memory, lanes, self.sizes.width)
            state = [(nothing, x.new_zeros(memory, lanes, 1))] * self.sizes.layers
        places = torch.arange(memory + tokens)
        future = places[None, :] > memory + torch.arange(tokens)[:, None]
        known = torch.cat([state[0][1], x.new_ones(tokens, lanes, 1)])
        hidden = future[:, :, None, None] | (known[None] == 0)
        positions = sines(memory + tokens, self.sizes.width)
        after: State = []
        for block, (before, seen) in zip(self.blocks, state, strict=True):
            after.append(
                (
                    torch.cat([before, x.float()])[-memory:].detach(),
                    torch.cat([seen, torch.ones(tokens, lanes, 1)])[-memory:],
                )
            )
            x = block(x, before, positions, hidden)
        return self.out(self.last(x)), after


def sines(length: int, width: int) -> Tensor:
    """Distances ``length - 1`` down to 0 as sines and cosines, ``(length, width)``."""
    distance = torch.arange(length - 1, -1, -1.0)[:, None]
    waves = 10_000 ** (-torch.arange(0, width, 2) / width)
    return torch.cat([(distance * waves).sin(), (distance * waves).cos()], 1)


def learn(
    network: nn.Module,
    made: Recipe,
    codec: Codec,
    keys: Keys,
    seconds: float,
    peak_rate: float,
) -> int:
    """Train for so much processor time; how many tokens that were."""
    plan = made.training
    rng = np.random.default_rng(plan.seed)
    source = chunks(
        keys,
        rng,
        lanes=plan.lanes,
        tokens=CHUNK_TOKENS,
        crop_share=plan.crop_share,
        cycle=codec.cycle,
    )
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=peak_rate, betas=(0.9, 0.99), weight_decay=plan.weight_decay
    )
    budget, state, tokens = Budget(seconds), None, 0
    with tqdm(total=100, unit="%", desc=type(network).__name__, leave=False) as bar:
        while budget.share < 1:
            chunk = next(source)
            with budget.spend():
                for group in optimizer.param_groups:
                    group["lr"] = budget.rate(peak_rate)
                _, state = update(network, optimizer, chunk, state)
            tokens += int((chunk.targets != IGNORED).sum())
            bar.update(min(100, round(100 * budget.share)) - bar.n)
    return tokens


@torch.no_grad()
def nats_a_unit(network: nn.Module, pieces: Sequence[Measured]) -> float:
    """As :func:`appliance.training.train.nats_a_unit`, with the state carried over chunks."""
    network.eval()
    total = 0.0
    ordered = sorted(pieces, key=lambda piece: piece.counted)
    for start in range(0, len(ordered), GROUP):
        group = ordered[start : start + GROUP]
        longest = max(len(piece.piece.targets) for piece in group)
        whole = pad([piece.piece for piece in group], longest, np.ones(len(group), bool))
        targets = torch.tensor(whole.targets)
        for lane, piece in enumerate(group):
            targets[piece.counted :, lane] = IGNORED
        state: State | None = None
        for at in range(0, longest, CHUNK_TOKENS):
            features = torch.tensor(whole.features[at : at + CHUNK_TOKENS])
            logits, state = network(features, state)
            total += nn.functional.cross_entropy(
                logits.float().flatten(0, 1),
                targets[at : at + CHUNK_TOKENS].flatten(),
                ignore_index=IGNORED,
                reduction="sum",
            ).item()
    return total / sum(piece.units for piece in pieces)


def compared(
    made: Recipe, scores: corpus.Corpus, seconds: float, sizes: Sizes | None = None
) -> list[str]:
    """A line for each of the two, after so much processor time each."""
    sizes = sizes or Sizes()
    codec = linescorpus.codec_for(scores["train"])
    keys, valid = Keys(codec, scores["train"]), measured(codec, scores["valid"])
    classes = len(codec.vocabulary)
    lines = []
    for what, network_of, rate in (
        (
            f"LSTM {made.network.layers} x {made.network.hidden}",
            lambda: StepNetwork(codec.width, classes, made.network, made.training.dropout),
            made.training.learning_rate,
        ),
        (
            f"Transformer {sizes.layers} x {sizes.width} with {sizes.memory_tokens} in memory",
            lambda: MemoryNetwork(codec.width, classes, sizes),
            TRANSFORMER_RATE,
        ),
    ):
        torch.manual_seed(made.training.seed)
        network = network_of()
        weights = sum(weight.numel() for weight in network.parameters())
        tokens = learn(network, made, codec, keys, seconds, rate)
        figure = nats_a_unit(network, valid)
        lines.append(
            f"{figure:.3f} nats a {codec.unit} on {len(valid)} valid pieces: {what}, "
            f"{weights / 1e6:.2f} M weights, {tokens / 1e3:.0f} k tokens in {seconds:g} s"
        )
        log.info("%s", lines[-1])
    return lines


def main() -> int:
    """Print both figures; 0 when they are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, prog="python -m appliance.training.attention"
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with the scores")
    parser.add_argument("--seconds", type=float, default=120, help="of processor, for each")
    parser.add_argument("--recipe", type=Path, default=Path("models/keyboard.toml"))
    parser.add_argument("--build", type=Path, default=Path("build"), help="where to work")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(asked.threads)
    try:
        made = recipe.load(asked.recipe)
        cache = asked.build / "corpus" / f"{made.name}.json"
        compared(made, corpus.lines(asked.data, made.corpus, cache), asked.seconds)
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
