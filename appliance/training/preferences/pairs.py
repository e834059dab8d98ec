"""Pairs of candidates from one prefix, the better one first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from appliance.training.data.batches import EncodedPiece
from appliance.training.preferences.candidates import Candidates

PREFIX_STEP = 60
"""Prefixes are cut to multiples of this many tokens, so that those in a batch are equally long."""


class Pair(NamedTuple):
    """Two candidates from one prefix, and how much better the first one is."""

    prefix: EncodedPiece
    chosen: EncodedPiece
    rejected: EncodedPiece
    advantage: float
    """The difference of their scores."""


def pairs_of(choices: Sequence[Candidates], min_advantage: float) -> list[Pair]:
    """Return the best and the worst candidate of each choice, where they differ enough.

    One that copies the corpus is never the better one.
    """
    pairs = []
    for candidates in choices:
        usable = [
            score if not copied else -np.inf
            for score, copied in zip(candidates.scores, candidates.copied, strict=True)
        ]
        best, worst = int(np.argmax(usable)), int(np.argmin(candidates.scores))
        advantage = usable[best] - candidates.scores[worst]
        if advantage >= min_advantage:
            drawn = candidates.drawn
            pairs.append(Pair(candidates.prefix, drawn[best], drawn[worst], advantage))
    return pairs


def batches_of(pairs: Sequence[Pair], size: int, rng: np.random.Generator) -> list[list[Pair]]:
    """Return the pairs in random batches, the prefixes in each equally long."""
    groups: dict[int, list[Pair]] = {}
    for index in rng.permutation(len(pairs)):
        pair = pairs[index]
        length = len(pair.prefix.targets) // PREFIX_STEP * PREFIX_STEP
        start = len(pair.prefix.targets) - length
        prefix = EncodedPiece(pair.prefix.features[start:], pair.prefix.targets[start:])
        groups.setdefault(length, []).append(pair._replace(prefix=prefix))
    batches = [group[n : n + size] for group in groups.values() for n in range(0, len(group), size)]
    return [batches[index] for index in rng.permutation(len(batches))]
