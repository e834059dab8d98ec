"""``make correct``: corrections by which a model's own music gets the habits of real music.

The model composes. Logistic regression learns to tell the tokens of that music from those of the
training pieces, by their aspects alone (:meth:`appliance.music.codecs.base.Context.aspects`). Its
weights are the logarithm of how much likelier an aspect is in real music, and are added to the
logits when the model plays. Corrected music has other contexts, so this is done in rounds.

Source: the residual energy models of Deng, Bakhtin, Ott, Szlam and Ranzato (ICLR 2020), with an
energy that is a sum over tokens, so that it costs nothing but a sum to sample from them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.composing.repeats import MARKS
from appliance.music.codecs.base import Codec
from appliance.music.events import tokens_of
from appliance.music.score import Form, Key
from appliance.training.data.corpus import Corpus
from appliance.training.evaluate.finished_pieces import (
    FinishedPiece,
    compose_pieces,
    decode_piece,
)
from appliance.training.evaluate.likeness import MIN_DIVERSITY, RealMeasures, diversity, valid_auc
from appliance.training.evaluate.page_measures import is_for_solo_strings, measure_pieces
from appliance.training.recipe import CorrectionConfig

log = logging.getLogger(__name__)

SHARE = 0.7
"""How much of a regression's weights is added."""
MAX_CHANGE = 1.5
"""A round changes no correction by more."""
MAX_ITERATIONS = 300
MAX_REAL_PIECES = 300
"""Training pieces, and valid pieces, that are looked at; others are left out at random."""

Rows = list[NDArray[np.intp]]
"""The aspects of each token."""


def aspects_of(codec: Codec, form: Form, key: Key, tokens: Iterable[int]) -> Rows:
    """Return the aspects that each token of a piece has, one after the other."""
    context, none = codec.start(form, key), codec.aspect_layout.width
    found: Rows = []
    for token in tokens:
        if context.done:
            break
        aspects = context.aspects()[:, token]
        found.append(aspects[aspects < none])
        context.accept(token)
    return found


def fitted(real: Rows, composed: Rows, count: int, strength: float) -> NDArray[np.float64]:
    """Return the logarithm of how much likelier each aspect makes a token real than composed.

    Args:
        real: the aspects of the tokens of real music.
        composed: those of composed music; both sides weigh the same.
        count: how many aspects there are.
        strength: the inverse of the regularization.

    Returns:
        float64 ``(count,)``.
    """
    table = vstack([_table(real, count), _table(composed, count)])
    is_real = np.r_[np.ones(len(real)), np.zeros(len(composed))]
    smaller = min(len(real), len(composed))
    weights = np.r_[
        np.full(len(real), smaller / len(real)), np.full(len(composed), smaller / len(composed))
    ]
    regression = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS)
    regression.fit(table, is_real, sample_weight=weights)
    return np.asarray(regression.coef_[0], np.float64)


def _table(rows: Rows, count: int) -> csr_matrix:
    """A row for each token and a column for each aspect."""
    ends = np.cumsum([0, *map(len, rows)])
    indices = np.concatenate(rows)
    return csr_matrix((np.ones(len(indices), np.float32), indices, ends), (len(rows), count))


@dataclass
class Round:
    """What a model composes with some corrections.

    Attributes:
        corrections: one for each aspect; empty before the first round.
        auc: how well logistic regression tells 8 bars of it from the valid pieces.
        diversity: how much the pieces differ from one another, over how much real ones do.
        rows: the aspects of its tokens.
    """

    corrections: list[float]
    auc: float
    diversity: float
    rows: Rows

    def __str__(self) -> str:
        largest = max(map(abs, self.corrections), default=0.0)
        return (
            f"AUC of 8 bars {self.auc:.3f} (regression), diversity {self.diversity:.2f}, "
            f"largest correction {largest:.2f}"
        )


class Corrector:
    """Fits the corrections of one model.

    Args:
        config: how.
        corpus: the pieces, split; the test pieces are not used.
        model: the model file; corrections in it count as none.
    """

    def __init__(self, config: CorrectionConfig, corpus: Corpus, model: ModelFile) -> None:
        self._config, self._model, self._codec = config, model, model.codec
        self._solo_strings = is_for_solo_strings(model)
        rng = np.random.default_rng(config.seed)
        encoded = {
            split: [
                (corpus[split][number], self._codec.encode(corpus[split][number])[1])
                for number in sorted(rng.permutation(len(corpus[split]))[:MAX_REAL_PIECES])
            ]
            for split in ("train", "valid")
        }
        self._rows: Rows = [
            row
            for score, tokens in tqdm(encoded["train"], "aspects of the training pieces")
            for row in aspects_of(self._codec, score.form, score.key, tokens)
        ]
        train, valid = (
            measure_pieces(
                [
                    decode_piece(self._codec, tokens, score.form, score.key, repeats=False)
                    for score, tokens in encoded[split]
                ],
                solo_strings=self._solo_strings,
            )
            for split in ("train", "valid")
        )
        self._real = RealMeasures(train, valid, test=[], shuffled=[], ngram=[])

    def compose(self, corrections: Sequence[float], number: int) -> Round:
        """Compose the music of a round, and judge it by the valid pieces.

        Raises:
            BachboxError: the runtime refuses the model.
        """
        metadata = msgspec.structs.replace(self._model.metadata, corrections=list(corrections))
        seed = 1000 * self._config.seed + number
        composer = Composer(replace(self._model, metadata=metadata), seed=seed, repeats=False)
        pieces: list[FinishedPiece] = []
        rows: Rows = []
        progress = tqdm(total=self._config.pieces, desc=f"round {number}: pieces")
        for piece, steps in islice(compose_pieces(composer), self._config.pieces):
            events = (event for step in steps for event in step.events)
            tokens = [token for token in tokens_of(events) if token not in MARKS]
            rows += aspects_of(self._codec, piece.form, piece.key, tokens)
            pieces.append(piece)
            progress.update()
        progress.close()
        measures = measure_pieces(pieces, solo_strings=self._solo_strings)
        return Round(
            [*corrections],
            valid_auc(self._real, measures),
            diversity([*self._real.valid, *self._real.train], measures),
            rows,
        )

    def corrected(self, before: Round) -> list[float]:
        """The corrections of a round, one for each aspect, from the music of the one before."""
        count = self._codec.aspect_layout.width
        weights = fitted(self._rows, before.rows, count, self._config.strength)
        sum_so_far = np.array(before.corrections or np.zeros(count))
        change = SHARE * np.clip(weights, -MAX_CHANGE, MAX_CHANGE)
        return [round(float(value), 3) for value in sum_so_far + change]


def correct(config: CorrectionConfig, corpus: Corpus, path: Path) -> tuple[list[float], list[str]]:
    """Return the corrections of the best round, and a line about each round.

    The best round is the one that is hardest to tell from the valid pieces, of those that are
    diverse enough. There may be none: then the corrections are empty.

    Args:
        config: how many rounds, of how many pieces each.
        corpus: the pieces, split.
        path: of the model file.

    Raises:
        BachboxError: the model file cannot be loaded, or the runtime refuses it.
    """
    model = model_file.load(path)
    corrector = Corrector(config, corpus, model)
    best = now = corrector.compose([], 0)
    lines = [f"before: {now}"]
    log.info("%s", lines[-1])
    for number in range(1, config.rounds + 1):
        now = corrector.compose(corrector.corrected(now), number)
        kept = now.auc < best.auc and now.diversity >= MIN_DIVERSITY
        best = now if kept else best
        lines.append(f"round {number}: {now}{'' if kept else '; not kept'}")
        log.info("%s", lines[-1])
    return best.corrections, lines
