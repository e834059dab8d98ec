"""Training: chunks in, weights out, with a progress bar and checkpoints that resume."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from appliance.music.codecs.base import Codec
from appliance.training.budget import Budget
from appliance.training.data.batches import IGNORED, Keys, Piece, chunks, encode, pad
from appliance.training.networks.lstm import State, StepNetwork
from appliance.training.networks.transformer import MemoryNetwork
from appliance.training.networks.transposition import moved
from appliance.training.networks.warm_start import from_history, grown
from appliance.training.recipe import Recipe, Trained, Weights

CHECKPOINT_EVERY_S = 120
LOOKS = 14
"""How often, over the whole training, the validation pieces are scored."""
FINAL_RATE = 0.02
GRADIENT_NORM = 1.0
MEASURED_UPDATES = 4
GROUP = 12
"""Pieces that are measured side by side."""
MEASURED_TOKENS = 240
"""So many of them at once; the state is carried on."""


def train(
    recipe: Recipe,
    codec: Codec,
    train_scores: Sequence[Any],
    valid_scores: Sequence[Any],
    folder: Path,
    member: int = 1,
    also: Sequence[Any] = (),
) -> Weights:
    """Train one network by the recipe, or go on from its checkpoint in ``folder``.

    Returns:
        The averaged weights that did best on the validation pieces.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / ("checkpoint.pt" if member == 1 else f"checkpoint-{member}.pt")
    plan = recipe.training
    seed = plan.seed + member - 1
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    network = network_for(recipe, codec, plan.dropout)
    begun = from_history(plan.start) if plan.start and not checkpoint.is_file() else []
    if member <= len(begun):
        known = grown(begun[member - 1], codec.width)
        network.load_state_dict({name: torch.tensor(value) for name, value in known.items()})
    average = network_for(recipe, codec, 0).eval()
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=plan.learning_rate,
        betas=(0.9, 0.99),
        weight_decay=plan.weight_decay,
    )
    seen, updates, best, worse_looks = 0, 0, math.inf, 0
    budget = Budget(plan.processor_s)
    best_weights: dict[str, Any] = {}
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device)
        network.load_state_dict(saved["network"])
        average.load_state_dict(saved["average"])
        optimizer.load_state_dict(saved["optimizer"])
        seen, updates, best = saved["seen"], saved["updates"], saved["best"]
        best_weights = saved["best_weights"]
        worse_looks = saved.get("worse_looks", 0)
        budget.spent_s = saved.get("spent_s", 0.0)
    keys = Keys(codec, train_scores, also)
    source = chunks(
        keys,
        np.random.default_rng([seed, seen]),
        lanes=plan.lanes,
        tokens=plan.chunk_tokens,
        crop_share=plan.crop_share,
        cycle=codec.cycle,
    )
    valid = measured(codec, valid_scores)
    tokens_a_unit = sum(p.counted for p in valid) / sum(p.units for p in valid)
    state: State | None = None
    saved_at = time.monotonic()
    share_done = budget.share if plan.processor_s else seen / plan.tokens
    next_look = int(share_done * LOOKS) + 1
    losses: list[float] = []
    with tqdm(
        total=plan.tokens or None, initial=seen, unit="tok", unit_scale=True, desc=recipe.name
    ) as bar:
        while (share_done < 1 or not best_weights) and not patience_ends(recipe, worse_looks):
            keys.also_share = max(0.0, 1 - share_done)
            rate = learning_rate(share_done, updates, recipe)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with budget.spend():
                chunk = next(source)
                loss, state = update(network, optimizer, chunk, state)
                updates += 1
                _follow(average, network, min(plan.average, updates / (updates + 10)))
            counted = int((chunk.targets != IGNORED).sum())
            seen += counted
            losses.append(loss)
            bar.update(counted)
            share_done = budget.share if plan.processor_s else seen / plan.tokens
            if share_done * LOOKS >= next_look:
                next_look = int(share_done * LOOKS) + 1
                score = nats_a_unit([average], valid)
                bar.write(
                    f"{recipe.name}: {seen / 1e6:6.2f} M tokens, train "
                    f"{tokens_a_unit * sum(losses) / len(losses):.4f}, "
                    f"valid {score:.4f} nats a {codec.unit}"
                )
                losses.clear()
                worse_looks += 1
                if score < best:
                    best, worse_looks = score, 0
                    best_weights = {k: v.clone() for k, v in average.state_dict().items()}
            over = share_done >= 1 or patience_ends(recipe, worse_looks)
            if time.monotonic() - saved_at > CHECKPOINT_EVERY_S or over:
                saved_at = time.monotonic()
                everything = {
                    "network": network.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "seen": seen,
                    "updates": updates,
                    "best": best,
                    "best_weights": best_weights,
                    "worse_looks": worse_looks,
                    "spent_s": budget.spent_s,
                }
                torch.save(everything, checkpoint.with_suffix(".part"))
                checkpoint.with_suffix(".part").replace(checkpoint)
    return {name: value.float().cpu().numpy() for name, value in best_weights.items()}


def network_for(recipe: Recipe, codec: Codec, dropout: float) -> nn.Module:
    """The kind of network that a recipe names, before it has learned anything."""
    kind = MemoryNetwork if recipe.network.kind == "attention" else StepNetwork
    return kind(codec.width, len(codec.vocabulary), recipe.network, dropout)


def in_all_keys(trained: Trained, codec: Codec) -> list[nn.Module]:
    """The networks that a model is the mean of: of each member one a key that it hears."""
    networks = []
    for weights in trained.members:
        for key in trained.recipe.network.keys:
            network = network_for(trained.recipe, codec, 0).eval()
            heard = moved(weights, codec, key)
            network.load_state_dict({name: torch.tensor(value) for name, value in heard.items()})
            networks.append(network)
    return networks


def patience_ends(recipe: Recipe, worse_looks: int) -> bool:
    """Whether so many looks without a gain are enough."""
    return 0 < recipe.training.patience_looks <= worse_looks


def tokens_a_second(recipe: Recipe, codec: Codec, scores: Sequence[Any]) -> float:
    """How fast this machine learns, by some updates of a network that is thrown away."""
    torch.manual_seed(0)
    torch.set_default_device("cuda" if torch.cuda.is_available() else "cpu")
    plan = recipe.training
    network = network_for(recipe, codec, plan.dropout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate)
    source = chunks(
        Keys(codec, scores),
        np.random.default_rng(0),
        lanes=plan.lanes,
        tokens=plan.chunk_tokens,
        crop_share=plan.crop_share,
        cycle=codec.cycle,
    )
    # The first draws are slow (each piece is encoded once), and so is the first update.
    known = [next(source) for _ in range(MEASURED_UPDATES)]
    update(network, optimizer, known[0], None)
    began = time.monotonic()
    for chunk in known:
        update(network, optimizer, chunk, None)
    tokens = sum(int((chunk.targets != IGNORED).sum()) for chunk in known)
    return tokens / (time.monotonic() - began)


def float_nats_a_unit(trained: Trained, codec: Codec, scores: Sequence[Any]) -> float:
    """The figure of the float networks' mean, in all their keys, to see what int8 costs."""
    return nats_a_unit(in_all_keys(trained, codec), measured(codec, scores))


def learning_rate(share_done: float, updates: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine down to ``FINAL_RATE`` of the peak."""
    plan = recipe.training
    warm = min(1.0, (updates + 1) / plan.warmup_updates)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, share_done)))
    return plan.learning_rate * warm * (cosine * (1 - FINAL_RATE) + FINAL_RATE)


def update(
    network: nn.Module, optimizer: torch.optim.Optimizer, chunk: Any, state: State | None
) -> tuple[float, State]:
    """One step of gradient descent; the loss in nats a token, and the state carried on.

    Args:
        network: from features and state to logits and state, as :class:`StepNetwork`.
        optimizer: of its weights.
        chunk: what it learns from.
        state: zeroed here in lanes that begin.
    """
    network.train()
    if state is not None:
        keep = torch.tensor(~chunk.fresh, dtype=torch.float32)[None, :, None]
        state = [(h.detach() * keep, c.detach() * keep) for h, c in state]
    features, targets = torch.tensor(chunk.features), torch.tensor(chunk.targets)
    with torch.autocast(features.device.type, torch.bfloat16):
        logits, state = network(features, state)
    loss = nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED
    )
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    optimizer.step()
    return loss.item(), [(h.float(), c.float()) for h, c in state]


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


class Measured(NamedTuple):
    """A piece to be measured on."""

    piece: Piece
    counted: int
    """Tokens that count for the figure, from the first on."""
    units: int


def measured(codec: Codec, scores: Sequence[Any]) -> list[Measured]:
    """Scores as pieces to be measured on."""
    return [Measured(encode(codec, score), *codec.units(score)) for score in scores]


@torch.no_grad()
def nats_a_unit(networks: Sequence[nn.Module], pieces: Sequence[Measured]) -> float:
    """Negative log-likelihood of all that counts, over all units, teacher-forced, whole pieces.

    The networks' logits are averaged. A unit is the codec's: the four voices of a 16th step,
    a note, a character.
    """
    for network in networks:
        network.eval()
    total = 0.0
    ordered = sorted(pieces, key=lambda piece: piece.counted)
    for start in range(0, len(ordered), GROUP):
        group = ordered[start : start + GROUP]
        longest = max(len(piece.piece.targets) for piece in group)
        chunk = pad([piece.piece for piece in group], longest, np.ones(len(group), bool))
        targets = torch.tensor(chunk.targets)
        for lane, piece in enumerate(group):
            targets[piece.counted :, lane] = IGNORED
        states: list[State | None] = [None] * len(networks)
        for at in range(0, longest, MEASURED_TOKENS):
            features = torch.tensor(chunk.features[at : at + MEASURED_TOKENS])
            logits = torch.zeros(())
            for number, network in enumerate(networks):
                told, states[number] = network(features, states[number])
                logits = logits + told.float()
            total += nn.functional.cross_entropy(
                (logits / len(networks)).flatten(0, 1),
                targets[at : at + MEASURED_TOKENS].flatten(),
                ignore_index=IGNORED,
                reduction="sum",
            ).item()
    return total / sum(piece.units for piece in pieces)
