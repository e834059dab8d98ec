"""The baseline beside every figure: an n-gram with back-off over the same tokens."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from appliance.music.codec import LOWEST, PITCHES, SatbCodec
from appliance.music.score import VOICES, Score
from appliance.training.batches import SHIFTS

LENGTHS = (4, 6, 8, 12)
"""Tokens of history in the longest context (n - 1); the best on the valid pieces counts."""


class NGram:
    """Witten-Bell interpolation from the longest context down to the uniform distribution.

    Source: Witten and Bell 1991; method "C": a context seen n times with d different
    successors gives the share n / (n + d) to its own counts. Whose turn it is belongs to
    every context.
    """

    def __init__(self, codec: SatbCodec, longest: int) -> None:
        self._codec = codec
        self._longest = longest
        self._counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)

    def learn(self, scores: list[Score]) -> None:
        """Count the tokens of the scores in every key that stays in range."""
        for score in scores:
            low, high = score.range()
            tokens = self._tokens(score)
            for shift in SHIFTS:
                if low + shift >= LOWEST and high + shift < LOWEST + PITCHES:
                    self._count([t + shift if t < PITCHES else t for t in tokens])

    def nats_a_step(self, scores: list[Score]) -> float:
        """The same figure as :func:`appliance.training.evaluate.nats_a_step`."""
        total, steps = 0.0, 0
        for score in scores:
            tokens = self._tokens(score)
            total -= sum(math.log(self._share(tokens, at)) for at in range(len(tokens)))
            steps += score.steps
        return total / steps

    def _tokens(self, score: Score) -> list[int]:
        return self._codec.encode(score)[1][: VOICES * score.steps]

    def _contexts(self, tokens: list[int], at: int) -> list[tuple[int, ...]]:
        """From the shortest to the longest."""
        longest = min(self._longest, at)
        return [(at % VOICES, *tokens[at - n : at]) for n in range(longest + 1)]

    def _count(self, tokens: list[int]) -> None:
        for at, token in enumerate(tokens):
            for context in self._contexts(tokens, at):
                self._counts[context][token] += 1

    def _share(self, tokens: list[int], at: int) -> float:
        share = 1 / len(self._codec.vocabulary)
        for context in self._contexts(tokens, at):
            seen = self._counts.get(context)
            if seen is None:
                break
            share = (seen[tokens[at]] + len(seen) * share) / (seen.total() + len(seen))
        return share


def baseline(
    codec: SatbCodec, train: list[Score], valid: list[Score], test: list[Score]
) -> tuple[int, float]:
    """The n and the test figure of the n-gram that does best on the valid pieces."""
    models = []
    for longest in LENGTHS:
        model = NGram(codec, longest)
        model.learn(train)
        models.append((model.nats_a_step(valid), longest, model))
    _, longest, best = min(models, key=lambda entry: entry[0])
    return longest + 1, best.nats_a_step(test)
