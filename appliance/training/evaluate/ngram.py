"""The baseline beside every figure: an n-gram with back-off over the same tokens."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from appliance.composing import sampler
from appliance.music.codecs.base import Codec
from appliance.music.score import Form, Key

LENGTHS = (4, 6, 8, 12)
"""Tokens of history in the longest context (n - 1); the best on the valid pieces counts."""
MAX_CONTEXTS = 20_000_000
"""Longer histories are not tried where there would be more contexts to count than this."""


COMPOSING_LENGTH = 6
"""The same for one that composes; longer ones copy."""
MAX_PIECE_TOKENS = 20_000


class NGram:
    """Witten-Bell interpolation from the longest context down to the uniform distribution.

    Source: Witten and Bell 1991; method "C": a context seen n times with d different
    successors gives the share n / (n + d) to its own counts. What the next token tells of
    (whose turn it is, pitch or length) belongs to every context.

    Args:
        classes: how many tokens there are.
        cycle: see :class:`appliance.music.codecs.base.Codec`.
        longest: tokens of history in the longest context.
    """

    def __init__(self, classes: int, cycle: int, longest: int) -> None:
        self._classes = classes
        self._cycle = cycle
        self._longest = longest
        self._counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)

    def learn(self, pieces: Iterable[Sequence[int]]) -> None:
        """Count the tokens of pieces."""
        for tokens in pieces:
            for at, token in enumerate(tokens):
                for context in self._contexts(tokens, at):
                    self._counts[context][token] += 1

    def nats(self, tokens: Sequence[int]) -> float:
        """Negative log-likelihood of a whole piece."""
        return -sum(math.log(self.share(tokens, at, tokens[at])) for at in range(len(tokens)))

    def share(self, tokens: Sequence[int], at: int, token: int) -> float:
        """The probability that ``token`` follows the first ``at`` of the tokens."""
        share = 1 / self._classes
        for context in self._contexts(tokens, at):
            seen = self._counts.get(context)
            if seen is None:
                break
            share = (seen[token] + len(seen) * share) / (seen.total() + len(seen))
        return share

    def shares(self, tokens: Sequence[int], at: int) -> NDArray[np.float64]:
        """:meth:`share` of every token there is."""
        shares = np.full(self._classes, 1 / self._classes)
        for context in self._contexts(tokens, at):
            seen = self._counts.get(context)
            if seen is None:
                break
            shares *= len(seen)
            shares[[*seen.keys()]] += [*seen.values()]
            shares /= seen.total() + len(seen)
        return shares

    def _contexts(self, tokens: Sequence[int], at: int) -> list[tuple[int, ...]]:
        """From the shortest to the longest."""
        longest = min(self._longest, at)
        return [(at % self._cycle, *tokens[at - n : at]) for n in range(longest + 1)]


def composer(
    codec: Codec, train: Sequence[Any], said: Sequence[list[int]], longest: int = COMPOSING_LENGTH
) -> NGram:
    """An n-gram that has learnt every piece on the tonic C, for :func:`compose`.

    Pieces that cannot be told on C are left out. ``said`` has their tokens as they are.
    """
    model = NGram(len(codec.vocabulary), codec.cycle, longest)
    for score, tokens in zip(train, said, strict=True):
        shift = (6 - score.key.tonic) % 12 - 6
        shifts = codec.shifts(score)
        if shift == 0 or shifts == [0]:
            model.learn([tokens])
        elif shift in shifts:
            model.learn([codec.encode(score.transposed(shift))[1]])
    return model


def compose(
    model: NGram, codec: Codec, form: Form, *, minor: bool, dice: np.random.Generator
) -> list[int]:
    """The tokens of a piece by an n-gram, which is forbidden what the network is.

    Plain: every token as likely as it was counted, nothing tried twice.
    """
    context = codec.start(form, Key(0, minor))
    said: list[int] = []
    while not context.done and not context.faded and len(said) < MAX_PIECE_TOKENS:
        token = sampler.sample(
            np.log(model.shares(said, len(said))),
            temperature=1.0,
            top_p=1.0,
            uniform=float(dice.random()),
            forbidden=context.forbidden(),
        )
        context.accept(token)
        said.append(token)
    return said


def counted(codec: Codec, score: Any) -> list[int]:
    """The tokens of a score that count for its figure."""
    return codec.encode(score)[1][: codec.units(score)[0]]


def baseline(
    codec: Codec,
    train: Sequence[Any],
    valid: Sequence[Any],
    test: Sequence[Any],
    also: Sequence[Any] = (),
) -> tuple[int, float]:
    """The n and the test figure of the n-gram that does best on the valid pieces.

    It learns every piece in every key that the codec can tell, ``also`` others or not, whichever
    is better. The figure is that of :func:`appliance.training.evaluate.likelihood.nats_a_unit`.
    """
    unseen = [counted(codec, score) for score in valid]
    models = []
    known: list[list[int]] = []
    for more in (train, also) if also else (train,):
        known += [
            counted(codec, score.transposed(shift) if shift else score)
            for score in tqdm(more, "n-gram", leave=False)
            for shift in codec.shifts(score)
        ]
        tokens = sum(map(len, known))
        for longest in LENGTHS:
            if longest > LENGTHS[0] and tokens * longest > MAX_CONTEXTS:
                break
            model = NGram(len(codec.vocabulary), codec.cycle, longest)
            model.learn(known)
            models.append((sum(map(model.nats, unseen)), longest, model))
    _, longest, best = min(models, key=lambda entry: entry[0])
    units = sum(codec.units(score)[1] for score in test)
    return longest + 1, sum(best.nats(counted(codec, score)) for score in test) / units
