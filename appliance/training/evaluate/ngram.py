"""The baseline for every figure: an n-gram with back-off over the same tokens."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from appliance.composing import sampler
from appliance.music.codecs.base import Codec, is_over
from appliance.music.score import Form, Key

CONTEXT_LENGTHS = (4, 6, 8, 12)
"""Tokens in the longest context (n - 1) to try; the best on the valid pieces is chosen."""
MAX_CONTEXTS = 20_000_000
"""Longer contexts are not tried where there would be more of them than this."""
COMPOSING_CONTEXT_LENGTH = 6
"""Tokens in the longest context of an n-gram that composes; with longer ones it copies."""
MAX_PIECE_TOKENS = 20_000


class NGram:
    """Witten-Bell interpolation from the longest context down to the uniform distribution.

    Source: Witten and Bell 1991; method "C": a context that was seen n times with d different
    successors gives the weight n / (n + d) to its own counts. Every context includes the position
    within the codec's cycle, such as whose voice it is.

    Args:
        classes: how many tokens the vocabulary has.
        cycle: see :class:`appliance.music.codecs.base.Codec`.
        context_length: tokens in the longest context.
    """

    def __init__(self, classes: int, cycle: int, context_length: int) -> None:
        self._classes = classes
        self._cycle = cycle
        self._context_length = context_length
        self._counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)

    def learn(self, pieces: Iterable[Sequence[int]]) -> None:
        """Count the tokens of pieces."""
        for tokens in pieces:
            for place, token in enumerate(tokens):
                for context in self._contexts(tokens, place):
                    self._counts[context][token] += 1

    def nll(self, tokens: Sequence[int]) -> float:
        """The negative log-likelihood of a whole piece, in nats."""
        return -sum(
            math.log(self.probability(tokens, place, tokens[place])) for place in range(len(tokens))
        )

    def probability(self, tokens: Sequence[int], place: int, token: int) -> float:
        """The probability that ``token`` follows the first ``place`` of the tokens."""
        probability = 1 / self._classes
        for context in self._contexts(tokens, place):
            counts = self._counts.get(context)
            if counts is None:
                break
            distinct = len(counts)
            probability = (counts[token] + distinct * probability) / (counts.total() + distinct)
        return probability

    def probabilities(self, tokens: Sequence[int], place: int) -> NDArray[np.float64]:
        """:meth:`probability` of every token of the vocabulary, ``(classes,)`` float64."""
        probabilities = np.full(self._classes, 1 / self._classes)
        for context in self._contexts(tokens, place):
            counts = self._counts.get(context)
            if counts is None:
                break
            probabilities *= len(counts)
            probabilities[[*counts.keys()]] += [*counts.values()]
            probabilities /= counts.total() + len(counts)
        return probabilities

    def _contexts(self, tokens: Sequence[int], place: int) -> list[tuple[int, ...]]:
        """All contexts of a place, from the shortest to the longest."""
        longest = min(self._context_length, place)
        return [(place % self._cycle, *tokens[place - n : place]) for n in range(longest + 1)]


def ngram_in_c(
    codec: Codec,
    scores: Sequence[Any],
    tokens: Sequence[list[int]],
    context_length: int = COMPOSING_CONTEXT_LENGTH,
) -> NGram:
    """An n-gram for :func:`compose`, which has learned every piece transposed to C.

    Args:
        codec: encodes the scores.
        scores: the pieces; those that cannot be transposed to C are left out.
        tokens: the pieces encoded as they are.
        context_length: tokens in the longest context.

    Raises:
        ValueError: the codec cannot encode a score.
    """
    model = NGram(len(codec.vocabulary), codec.tokens_per_group, context_length)
    for score, untransposed in zip(scores, tokens, strict=True):
        shift = (6 - score.key.tonic) % 12 - 6
        shifts = codec.transpositions(score)
        if shift == 0 or shifts == [0]:
            model.learn([untransposed])
        elif shift in shifts:
            model.learn([codec.encode(score.transposed(shift))[1]])
    return model


def compose(
    model: NGram, codec: Codec, form: Form, *, minor: bool, rng: np.random.Generator
) -> list[int]:
    """The tokens of a piece in C, sampled from an n-gram.

    The codec forbids the same tokens as for the network. Otherwise sampling is plain: at
    temperature 1, and without a choice between several endings.
    """
    context = codec.start(form, Key(0, minor))
    tokens: list[int] = []
    while not is_over(context) and len(tokens) < MAX_PIECE_TOKENS:
        token = sampler.sample(
            np.log(model.probabilities(tokens, len(tokens))),
            temperature=1.0,
            top_p=1.0,
            uniform=float(rng.random()),
            forbidden=context.forbidden(),
        )
        context.accept(token)
        tokens.append(token)
    return tokens


def scored_tokens(codec: Codec, score: Any) -> list[int]:
    """The tokens of a score that count for its likelihood.

    Raises:
        ValueError: the codec cannot encode the score.
    """
    return codec.encode(score)[1][: codec.loss_counts(score)[0]]


def evaluate_ngram(
    codec: Codec,
    train: Sequence[Any],
    valid: Sequence[Any],
    test: Sequence[Any],
    pretrain: Sequence[Any] = (),
) -> tuple[int, float]:
    """The n and the test figure of the n-gram that does best on the valid pieces.

    It learns every piece in every transposition of the codec, with or without the pretraining
    pieces, whichever is better. The figure is in nats per unit and can be compared with
    :func:`appliance.training.evaluate.int8_likelihood.nll_per_unit`.

    Raises:
        ValueError: the codec cannot encode a score.
    """
    valid_tokens = [scored_tokens(codec, score) for score in valid]
    candidates = []
    train_tokens: list[list[int]] = []
    for scores in (train, pretrain) if pretrain else (train,):
        train_tokens += [
            scored_tokens(codec, score.transposed(shift) if shift else score)
            for score in tqdm(scores, "n-gram", leave=False)
            for shift in codec.transpositions(score)
        ]
        token_count = sum(map(len, train_tokens))
        for length in CONTEXT_LENGTHS:
            if length > CONTEXT_LENGTHS[0] and token_count * length > MAX_CONTEXTS:
                break
            model = NGram(len(codec.vocabulary), codec.tokens_per_group, length)
            model.learn(train_tokens)
            candidates.append((sum(map(model.nll, valid_tokens)), length, model))
    _, length, best = min(candidates, key=lambda candidate: candidate[0])
    units = sum(codec.loss_counts(score)[1] for score in test)
    return length + 1, sum(best.nll(scored_tokens(codec, score)) for score in test) / units
