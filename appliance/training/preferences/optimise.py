"""Teaching a network what was preferred: direct preference optimisation, by bars.

Of two candidates that were drawn from one prefix the network learns to make one likelier, relative
to what it was before. Sources: Rafailov et al. 2023, "Direct Preference Optimization"; Wang et al.
2025, "NotaGen", for the penalty where the chosen one becomes less likely. The label is not hard:
the critic's scores say how surely one is better (Mitchell 2023, "A note on DPO with noisy
preferences"), so that the network is not pushed further than they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from appliance.training.data.batches import IGNORE_INDEX, Chunk, EncodedPiece, pad
from appliance.training.networks.lstm import State
from appliance.training.preferences.pairs import Pair, batches_of
from appliance.training.recipe import PreferenceConfig
from appliance.training.trainer import MAX_GRADIENT_NORM, update


def preference_loss(
    chosen: Tensor, rejected: Tensor, advantage: Tensor, config: PreferenceConfig
) -> Tensor:
    """The loss of some pairs, a scalar.

    Args:
        chosen: by how much the log-probability of each chosen candidate has risen, ``(pairs,)``.
        rejected: the same of the rejected ones.
        advantage: by how much the score of the chosen one is higher, ``(pairs,)``.
        config: strength and penalty.
    """
    penalty = config.penalty * torch.relu(-chosen)
    margin = config.beta * (chosen - rejected - penalty)
    label = torch.sigmoid(advantage)
    return -(
        label * nn.functional.logsigmoid(margin) + (1 - label) * nn.functional.logsigmoid(-margin)
    ).mean()


def log_probabilities(
    network: nn.Module, prefixes: Sequence[EncodedPiece], drawn: Sequence[EncodedPiece]
) -> Tensor:
    """The log-probability of each candidate after its prefix, ``(candidates,)``.

    Args:
        network: see :meth:`appliance.training.networks.lstm.LstmNetwork.forward`.
        prefixes: equally long; candidate n continues prefix n modulo their number.
        drawn: the candidates.
    """
    state: State | None = None
    if len(prefixes[0].targets):
        with torch.no_grad():
            _, state = network(torch.tensor(_padded(prefixes).features), None)
        times = len(drawn) // len(prefixes)
        state = [(a.repeat(1, times, 1), b.repeat(1, times, 1)) for a, b in state]
    chunk = _padded(drawn)
    logits, _ = network(torch.tensor(chunk.features), state)
    losses = nn.functional.cross_entropy(
        logits.float().flatten(0, 1),
        torch.tensor(chunk.targets).flatten(),
        ignore_index=IGNORE_INDEX,
        reduction="none",
    )
    return -losses.view(chunk.targets.shape).sum(0)


def _padded(pieces: Sequence[EncodedPiece]) -> Chunk:
    return pad(pieces, max(len(p.targets) for p in pieces), np.ones(len(pieces), bool))


def _both(batch: Sequence[Pair]) -> tuple[list[EncodedPiece], list[EncodedPiece]]:
    return [p.prefix for p in batch], [*(p.chosen for p in batch), *(p.rejected for p in batch)]


def optimise(
    network: nn.Module,
    pairs: Sequence[Pair],
    ordinary: Iterator[Chunk],
    config: PreferenceConfig,
    rng: np.random.Generator,
    on_update: Callable[[float], None] = lambda _: None,
) -> None:
    """Teach a network in place.

    Args:
        network: with the weights that drew the pairs.
        pairs: what to learn, once each.
        ordinary: batches of real music, which are mixed in so that it is not forgotten.
        config: how.
        rng: of the order.
        on_update: called with the loss after each batch of pairs.
    """
    network.eval()
    batches = batches_of(pairs, config.batch_size, rng)
    with torch.no_grad():
        known = [log_probabilities(network, *_both(batch)) for batch in batches]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=0
    )
    warmup = max(1, len(batches) // 10)
    state: State | None = None
    for number, (batch, before) in enumerate(zip(batches, known, strict=True)):
        for group in optimizer.param_groups:
            rest = 1 - max(0, number - warmup) / len(batches)
            group["lr"] = config.learning_rate * min(1, (number + 1) / warmup) * rest
        network.eval()  # Without dropout, so that only what was learned changes a probability.
        chosen, rejected = (log_probabilities(network, *_both(batch)) - before).chunk(2)
        advantage = torch.tensor([pair.advantage for pair in batch], dtype=torch.float32)
        loss = preference_loss(chosen, rejected, advantage, config)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        on_update(loss.item())
        if rng.random() < config.ordinary_share:
            _, state = update(network, optimizer, next(ordinary), state)
