"""Training of one network, with a progress bar, evaluations and checkpoints."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from appliance.music.codecs.base import Codec
from appliance.training.checkpoint import Checkpoint, Progress
from appliance.training.cpu_budget import CpuBudget
from appliance.training.data.batches import IGNORE_INDEX, Chunk, PieceSampler, chunks
from appliance.training.evaluate.float_likelihood import encode_for_evaluation, nll_per_unit
from appliance.training.networks.factory import load_weights, make_network
from appliance.training.networks.lstm import State
from appliance.training.networks.warm_start import load_networks, with_wider_input
from appliance.training.recipe import Recipe, Weights

CHECKPOINT_INTERVAL_S = 120
EVALUATIONS = 14
"""How often the validation pieces are evaluated in a whole training."""
FINAL_RATE_SHARE = 0.02
"""The learning rate at the end, as a share of the peak."""
MAX_GRADIENT_NORM = 1.0
SPEED_TEST_UPDATES = 4
CHECKPOINT_NAME = "checkpoint.pt"


def train(
    recipe: Recipe,
    codec: Codec,
    train_scores: Sequence[Any],
    valid_scores: Sequence[Any],
    folder: Path,
    member: int = 1,
    pretrain_scores: Sequence[Any] = (),
) -> Weights:
    """Train one network, or resume its training from the checkpoint in ``folder``.

    Args:
        recipe: says how.
        codec: encodes the scores.
        train_scores: the pieces to learn from.
        valid_scores: the pieces that decide which weights are the best.
        folder: for the checkpoint; made where it does not exist.
        member: the number of the network in the ensemble, from 1.
        pretrain_scores: pieces that are drawn less and less, see ``pretrain_folders`` in
            :class:`appliance.training.recipe.CorpusConfig`.

    Returns:
        the averaged weights that did best on the validation pieces: float32, with the names and
        shapes of the network's parameters.

    Raises:
        UsageError: the recipe's ``warm_start`` cannot be used.
        OSError: the checkpoint cannot be read or written.
        RuntimeError: the checkpoint is of a network of another size.
        ValueError: the codec cannot encode a score.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = CHECKPOINT_NAME if member == 1 else f"checkpoint-{member}.pt"
    trainer = Trainer(recipe, codec, valid_scores, folder / name, member)
    return trainer.run(PieceSampler(codec, train_scores, pretrain_scores))


class Trainer:
    """The training of one network of the ensemble.

    Args:
        recipe: says how to train.
        codec: encodes the pieces.
        valid_scores: the pieces to evaluate on.
        checkpoint_path: where to save the state, and to resume from if it exists.
        member: the number of the network in the ensemble, from 1.
    """

    def __init__(
        self,
        recipe: Recipe,
        codec: Codec,
        valid_scores: Sequence[Any],
        checkpoint_path: Path,
        member: int,
    ) -> None:
        self._recipe, self._codec, self._config = recipe, codec, recipe.training
        self._seed = self._config.seed + member - 1
        device = _default_device()
        torch.manual_seed(self._seed)
        network = make_network(recipe.network, codec, self._config.dropout)
        if self._config.warm_start and not checkpoint_path.is_file():
            starts = load_networks(Path(self._config.warm_start))
            if member <= len(starts):
                load_weights(network, with_wider_input(starts[member - 1], codec.width))
        average = make_network(recipe.network, codec).eval()
        average.load_state_dict(network.state_dict())
        optimizer = torch.optim.AdamW(
            network.parameters(),
            lr=self._config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=self._config.weight_decay,
        )
        self._progress = Progress()
        self._checkpoint = Checkpoint(checkpoint_path, network, average, optimizer, self._progress)
        if checkpoint_path.is_file():
            self._checkpoint.restore(device)
        self._budget = CpuBudget(self._config.cpu_budget_s)
        self._budget.spent_s = self._progress.cpu_s
        self._valid = encode_for_evaluation(codec, valid_scores)
        self._losses: list[float] = []

    def run(self, sampler: PieceSampler) -> Weights:
        """Train to the end of the recipe, and return the best weights as :func:`train` does.

        Raises:
            OSError: the checkpoint cannot be written.
        """
        progress = self._progress
        source = chunks_for(
            self._recipe,
            self._codec,
            sampler,
            np.random.default_rng([self._seed, progress.seen_tokens]),
        )
        state: State | None = None
        saved_at_s = time.monotonic()
        next_evaluation = int(self._done_share * EVALUATIONS) + 1
        with tqdm(
            total=self._config.tokens or None,
            initial=progress.seen_tokens,
            unit="tok",
            unit_scale=True,
            desc=self._recipe.name,
        ) as bar:
            while not self._is_finished or not progress.best_weights:
                sampler.pretrain_share = max(0.0, 1 - self._done_share)
                before = progress.seen_tokens
                state = self._update(source, state)
                bar.update(progress.seen_tokens - before)
                if self._done_share * EVALUATIONS >= next_evaluation:
                    next_evaluation = int(self._done_share * EVALUATIONS) + 1
                    bar.write(self._evaluate())
                now_s = time.monotonic()
                if now_s - saved_at_s > CHECKPOINT_INTERVAL_S or self._is_finished:
                    saved_at_s = now_s
                    self._checkpoint.save()
        return {name: value.float().cpu().numpy() for name, value in progress.best_weights.items()}

    @property
    def _done_share(self) -> float:
        """How much of the training is done; 1 or more at its end."""
        if self._config.cpu_budget_s:
            return self._budget.spent_share
        return self._progress.seen_tokens / self._config.tokens

    @property
    def _is_finished(self) -> bool:
        patience = self._config.patience_evals
        if 0 < patience <= self._progress.evals_without_improvement:
            return True
        return self._done_share >= 1

    def _update(self, source: Any, state: State | None) -> State:
        """One step of gradient descent on the next chunk; the state after the chunk."""
        progress, checkpoint = self._progress, self._checkpoint
        rate = learning_rate(self._done_share, progress.updates, self._recipe)
        for group in checkpoint.optimizer.param_groups:
            group["lr"] = rate
        with self._budget.spend():
            chunk = next(source)
            loss, state = update(checkpoint.network, checkpoint.optimizer, chunk, state)
            progress.updates += 1
            # The average forgets the random start soon: early on, its decay is lower.
            decay = min(self._config.ema_decay, progress.updates / (progress.updates + 10))
            _update_average(checkpoint.average, checkpoint.network, decay)
        progress.cpu_s = self._budget.spent_s
        progress.seen_tokens += _token_count(chunk)
        self._losses.append(loss)
        return state

    def _evaluate(self) -> str:
        """Evaluate the averaged weights, keep them if they are the best; a line for the log."""
        progress = self._progress
        nll = nll_per_unit([self._checkpoint.average], self._valid)
        progress.evals_without_improvement += 1
        if nll < progress.best_nll:
            progress.best_nll, progress.evals_without_improvement = nll, 0
            weights = self._checkpoint.average.state_dict()
            progress.best_weights = {name: value.clone() for name, value in weights.items()}
        tokens_per_unit = sum(piece.token_count for piece in self._valid) / sum(
            piece.unit_count for piece in self._valid
        )
        train_nll = tokens_per_unit * sum(self._losses) / len(self._losses)
        self._losses.clear()
        return (
            f"{self._recipe.name}: {progress.seen_tokens / 1e6:6.2f} M tokens, "
            f"train {train_nll:.4f}, valid {nll:.4f} nats per {self._codec.unit}"
        )


def _default_device() -> str:
    """Make the GPU PyTorch's default device, or the CPU where there is none."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_device(device)
    return device


def chunks_for(
    recipe: Recipe, codec: Codec, sampler: PieceSampler, rng: np.random.Generator
) -> Iterator[Chunk]:
    """Endless chunks of pieces, as large as ``recipe`` says.

    Raises:
        ValueError: the codec cannot encode a score.
    """
    config = recipe.training
    return chunks(
        sampler,
        rng,
        batch_size=config.batch_size,
        tokens=config.bptt_tokens,
        crop_probability=config.crop_probability,
        cycle=codec.tokens_per_group,
    )


def _token_count(chunk: Chunk) -> int:
    """How many tokens of a chunk are predicted, without padding."""
    return int((chunk.targets != IGNORE_INDEX).sum())


def tokens_per_second(recipe: Recipe, codec: Codec, scores: Sequence[Any]) -> float:
    """How fast this machine trains, by a few updates of a network that is thrown away.

    Raises:
        ValueError: the codec cannot encode a score.
    """
    _default_device()
    torch.manual_seed(0)
    network = make_network(recipe.network, codec, recipe.training.dropout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.training.learning_rate)
    source = chunks_for(recipe, codec, PieceSampler(codec, scores), np.random.default_rng(0))
    # Sampling is slow at first, because each piece is encoded once; so is the first update.
    samples = [next(source) for _ in range(SPEED_TEST_UPDATES)]
    update(network, optimizer, samples[0], None)
    start_s = time.monotonic()
    for chunk in samples:
        update(network, optimizer, chunk, None)
    return sum(map(_token_count, samples)) / (time.monotonic() - start_s)


def learning_rate(done_share: float, updates: int, recipe: Recipe) -> float:
    """A linear warm-up, then a cosine down to ``FINAL_RATE_SHARE`` of the peak."""
    config = recipe.training
    warmup = min(1.0, (updates + 1) / config.warmup_updates)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done_share)))
    return config.learning_rate * warmup * (cosine * (1 - FINAL_RATE_SHARE) + FINAL_RATE_SHARE)


def update(
    network: nn.Module, optimizer: torch.optim.Optimizer, chunk: Chunk, state: State | None
) -> tuple[float, State]:
    """One step of gradient descent.

    Args:
        network: maps features and state to logits and state, see
            :meth:`appliance.training.networks.lstm.LstmNetwork.forward`.
        optimizer: of the network's weights.
        chunk: the batch to learn from.
        state: the state after the chunk before, float32 ``(1, batch, size)`` in each part; it is
            zeroed where a new piece starts.

    Returns:
        the mean loss in nats per token, and the state after the chunk, detached at the next call.
    """
    network.train()
    if state is not None:
        keep = torch.tensor(~chunk.starts, dtype=torch.float32)[None, :, None]  # (1, B, 1)
        state = [(a.detach() * keep, b.detach() * keep) for a, b in state]
    features, targets = torch.tensor(chunk.features), torch.tensor(chunk.targets)
    device = features.device.type
    with torch.autocast(device, torch.bfloat16, enabled=supports_bfloat16(device)):
        logits, state = network(features, state)
    loss = nn.functional.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX
    )
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
    optimizer.step()
    return loss.item(), [(a.float(), b.float()) for a, b in state]


@functools.cache
def supports_bfloat16(device: str) -> bool:
    """Whether an LSTM runs in bfloat16 on ``device``; on x86 without AVX-512 it raises an error."""
    with torch.random.fork_rng(devices=[]):
        lstm = nn.LSTM(8, 8)
        try:
            with torch.autocast(device, torch.bfloat16):
                lstm(torch.zeros(2, 1, 8))
        except RuntimeError:
            return False
    return True


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    for slow, fast in zip(average.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)
