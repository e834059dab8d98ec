"""Can a classifier tell composed music from real music? The classifier two-sample test.

Two classifiers are trained on features of excerpts and judged on pieces they have not seen: an AUC
of 0.5 means that they cannot tell, 1.0 that they always can (Lopez-Paz and Oquab, "Revisiting
Classifier Two-Sample Tests", ICLR 2017). Logistic regression chooses settings; gradient boosting,
which has chosen nothing, judges the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.page_features import features
from appliance.training.evaluate.page_features.calculation import Features
from appliance.training.evaluate.pages import Page, excerpts

EXCERPT_BARS = 8

FOLDS = 5

MIN_SHARE = 0.3
"""A feature that fewer excerpts than this have is left out."""

BOOTSTRAPS = 200

Array = NDArray[np.float64]

Rows = list[Features]
"""The features of one piece: of each of its excerpts, or of the whole piece alone."""


class Sample(NamedTuple):
    """The excerpts of both sides as a table."""

    names: list[str]
    """Of the features."""
    values: Array
    """(excerpts, features); NaN where a feature cannot be computed."""
    composed: NDArray[np.int64]
    """(excerpts,): 1 for composed music, 0 for real music."""
    pieces: NDArray[np.int64]
    """(excerpts,): the number of the piece that an excerpt is from; real pieces come first."""
    weights: Array
    """(excerpts,): every piece weighs the same, and so do both sides."""


class Telling(NamedTuple):
    """A feature that distinguishes the two sides."""

    name: str
    auc: float
    """Of this feature alone; below 0.5 where composed music has less of it."""
    real: tuple[float, float, float]
    composed: tuple[float, float, float]
    """Quartiles."""


class Auc(NamedTuple):
    """An area under the receiver operating characteristic curve."""

    value: float
    low: float
    high: float
    """95 % of bootstraps by piece lie between the two."""


class Verdict(NamedTuple):
    """The result of a test."""

    boosted: Auc
    """Of gradient boosting."""
    linear: Auc
    """Of logistic regression."""
    boosted_judged: Auc
    """As ``boosted``, of the judged real pieces alone against all composed ones."""
    telling: list[Telling]
    """The features that tell most, first."""
    real_pieces: int
    composed_pieces: int


def rows_of(page: Page, *, whole: bool = False) -> Rows:
    """Return the features of a page's excerpts of 8 bars, or of the whole page."""
    if whole:
        found = features(page, page.pickup, page.pickup + page.bar_count * page.bar, whole=True)
        return [] if found is None else [found]
    each = (features(page, start, end) for start, end in excerpts(page, EXCERPT_BARS))
    return [found for found in each if found is not None]


def sample(real: Sequence[Rows], composed: Sequence[Rows]) -> Sample:
    """Return the features of all pieces as one table."""
    rows: list[Features] = []
    pieces: list[int] = []
    for number, piece_rows in enumerate((*real, *composed)):
        rows += piece_rows
        pieces += [number] * len(piece_rows)
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    names = [name for name, count in counts.items() if count > MIN_SHARE * len(rows)]
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows])
    piece = np.array(pieces, np.int64)
    side = (piece >= len(real)).astype(np.int64)
    return Sample(names, values, side, piece, _balanced(side, piece))


def two_sample_test(
    real: Sequence[Rows],
    composed: Sequence[Rows],
    *,
    judged: Collection[int] = (),
    seed: int = 1,
) -> Verdict:
    """Return how well composed pieces can be distinguished from real ones.

    Five folds, all excerpts of a piece on one side of each. Compare results only at equal numbers
    of pieces: an AUC from 16 pieces is about 0.1 lower than one from 48.

    Args:
        real: the pieces of one side.
        composed: those of the other.
        judged: numbers of the real pieces that are held out; the classifiers still learn from them
            in the folds that judge others. Empty: all.
        seed: of folds, trees and bootstraps.

    Raises:
        ValueError: one side has fewer than five pieces with features.
    """
    data = _checked_sample(real, composed)
    boosted, linear = _predictions(data, _trees, seed), _predictions(data, _regression, seed)
    return Verdict(
        _auc(data, boosted, (), seed),
        _auc(data, linear, (), seed),
        _auc(data, boosted, judged, seed),
        telling(data),
        *(len(set(data.pieces[data.composed == side])) for side in (0, 1)),
    )


def linear_auc(
    real: Sequence[Rows], composed: Sequence[Rows], *, judged: Collection[int] = (), seed: int = 1
) -> float:
    """Return the AUC of logistic regression alone, by which settings are chosen.

    Arguments and errors are those of :func:`two_sample_test`.
    """
    data = _checked_sample(real, composed)
    prediction = _predictions(data, _regression, seed)
    kept = _kept(data, judged)
    return _weighted_auc(data.composed[kept], prediction[kept], _weights(data, kept))


def telling(data: Sample) -> list[Telling]:
    """Return the features of a sample, the most telling one first."""
    found = []
    for column, name in enumerate(data.names):
        value = data.values[:, column]
        known = np.isfinite(value)
        sides = [value[known & (data.composed == side)] for side in (0, 1)]
        if min(map(len, sides)) == 0:
            continue
        auc = _weighted_auc(data.composed[known], value[known], data.weights[known])
        quartiles = [tuple(map(float, np.percentile(side, (25, 50, 75)))) for side in sides]
        found.append(Telling(name, auc, quartiles[0], quartiles[1]))  # type: ignore[arg-type]
    return sorted(found, key=lambda one: -abs(one.auc - 0.5))


def _checked_sample(real: Sequence[Rows], composed: Sequence[Rows]) -> Sample:
    for pieces in (real, composed):
        if sum(map(bool, pieces)) < FOLDS:
            raise ValueError(f"the test needs at least {FOLDS} pieces on each side")
    return sample(real, composed)


def _balanced(side: NDArray[np.int64], piece: NDArray[np.int64]) -> Array:
    weights = 1 / np.bincount(piece)[piece]
    for one in (0, 1):
        weights[side == one] *= len(side) / 2 / weights[side == one].sum()
    return weights


def _trees(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(
        n_estimators=100, max_depth=3, subsample=0.6, max_features=0.25,
        learning_rate=0.08, min_samples_leaf=4, random_state=seed,
    )  # fmt: skip


def _regression(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=0.03, max_iter=2000, random_state=seed)


def _predictions(data: Sample, make: Callable[[int], Any], seed: int) -> Array:
    """What a classifier says of each excerpt when it has not seen its piece."""
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    prediction = np.zeros(len(data.composed))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for train, held in folds.split(data.values, data.composed, data.pieces):
            fill = SimpleImputer(strategy="median").fit(data.values[train])
            scale = StandardScaler().fit(fill.transform(data.values[train]))
            seen, unseen = (
                scale.transform(fill.transform(data.values[some])) for some in (train, held)
            )
            classifier = make(seed)
            classifier.fit(seen, data.composed[train], sample_weight=data.weights[train])
            prediction[held] = classifier.predict_proba(unseen)[:, 1]
    return prediction


def _weighted_auc(truth: NDArray[np.int64], value: Array, weights: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, value, sample_weight=weights))


def _kept(data: Sample, judged: Collection[int]) -> NDArray[np.bool_]:
    """Which excerpts count: those of the judged real pieces, and all composed ones."""
    if not judged:
        return np.ones(len(data.composed), bool)
    return np.isin(data.pieces, list(judged)) | (data.composed == 1)


def _weights(data: Sample, kept: NDArray[np.bool_]) -> Array:
    return _balanced(data.composed[kept], data.pieces[kept])


def _auc(data: Sample, prediction: Array, judged: Collection[int], seed: int) -> Auc:
    """The AUC, and the range of 95 % of AUCs when each side's pieces are drawn with replacement."""
    kept = _kept(data, judged)
    truth, pieces, value = data.composed[kept], data.pieces[kept], prediction[kept]
    weights = _weights(data, kept)
    rng = np.random.default_rng(seed)
    sides = [np.unique(pieces[truth == side]) for side in (0, 1)]
    found = []
    for _ in range(BOOTSTRAPS):
        drawn = np.concatenate([rng.choice(side, len(side)) for side in sides])
        times = np.bincount(drawn, minlength=int(pieces.max()) + 1)[pieces]
        some = times > 0
        found.append(_weighted_auc(truth[some], value[some], (weights * times)[some]))
    low, high = np.percentile(found, (2.5, 97.5))
    return Auc(_weighted_auc(truth, value, weights), float(low), float(high))
