"""A critic of single bars: how surely a bar is Bach's and not the model's.

Logistic regression on the features of a bar and their squares, so that more is not always better.
What it says is the logarithm of how much likelier the bar is as real music than as composed music
(see Goodfellow et al. 2014, "Generative Adversarial Nets", section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.finished_pieces import FinishedPiece
from appliance.training.preferences.bar_features import bar_features, bars_of

MAX_DEVIATIONS = 3.0
"""Features are clipped at this many standard deviations."""
REGULARISATION = 0.01


class Critic:
    """Judges bars.

    Args:
        real: pieces of the corpus.
        composed: pieces of the model.
        seed: of the regression.

    Raises:
        ValueError: one side has no bars.
    """

    def __init__(
        self, real: Sequence[FinishedPiece], composed: Sequence[FinishedPiece], seed: int = 1
    ) -> None:
        from sklearn.linear_model import LogisticRegression

        tables = [
            (table, side)
            for side, pieces in ((True, real), (False, composed))
            for piece in pieces
            if len(table := piece_table(piece))
        ]
        values = np.concatenate([table for table, _ in tables])
        is_real = np.concatenate([np.full(len(table), side) for table, side in tables])
        # Every piece weighs the same, and so do both sides.
        weights = np.concatenate([np.full(len(table), 1 / len(table)) for table, _ in tables])
        for side in (True, False):
            weights[is_real == side] *= len(weights) / 2 / weights[is_real == side].sum()
        self._mean, self._deviation = values.mean(0), values.std(0) + 1e-6
        self._regression: Any = LogisticRegression(
            C=REGULARISATION, max_iter=1000, random_state=seed
        )
        self._regression.fit(self._standardised(values), is_real, sample_weight=weights)

    def _standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (values - self._mean) / self._deviation
        clipped = scaled.clip(-MAX_DEVIATIONS, MAX_DEVIATIONS)
        return np.concatenate([clipped, clipped**2 - 1], 1)

    def scores(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what it thinks of bars, ``(bars,)``, the higher the more like real ones.

        Args:
            values: ``(bars, features)``, see :func:`bar_features`.
        """
        return np.asarray(self._regression.decision_function(self._standardised(values)))


def piece_table(piece: FinishedPiece) -> NDArray[np.float64]:
    """Return the features of the bars in which something is struck, but not of the first bar.

    Returns:
        float64 ``(bars, features)``, see :func:`bar_features`.
    """
    bars = bars_of(piece)
    rows = [
        bar_features(bars, index, piece.key, piece.form)
        for index, bar in enumerate(bars)
        if bar.struck and index
    ]
    return np.array(rows)
