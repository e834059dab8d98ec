"""Can a classifier tell composed music from real music? The classifier two-sample test.

Two classifiers are trained on features of excerpts and judged on pieces they have not seen: an AUC
of 0.5 means that they cannot tell, 1.0 that they always can (Lopez-Paz and Oquab, "Revisiting
Classifier Two-Sample Tests", ICLR 2017). Logistic regression chooses settings; gradient boosting,
which has chosen nothing, judges the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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


class Sample(NamedTuple):
    """The excerpts of both sides as a table."""

    names: list[str]
    """Of the features."""
    values: Array
    """(excerpts, features); NaN where a feature cannot be computed."""
    composed: NDArray[np.int64]
    """(excerpts,): 1 for composed music, 0 for real music."""
    pieces: NDArray[np.int64]
    """(excerpts,): the number of the piece that an excerpt is from."""
    weights: Array
    """(excerpts,): every piece weighs the same, and so do both sides."""


class Telling(NamedTuple):
    """A feature by which the sides can be told."""

    name: str
    auc: float
    """Of this feature alone; below 0.5 where composed music has less of it."""
    real: tuple[float, float, float]
    composed: tuple[float, float, float]
    """Quartiles."""


class Verdict(NamedTuple):
    """The result of a test."""

    boosted: float
    boosted_range: tuple[float, float]
    """AUC of gradient boosting; 95 % of bootstraps by piece lie in the range."""
    linear: float
    linear_range: tuple[float, float]
    telling: list[Telling]
    """The features that tell most, first."""


def sample(real: Sequence[Page], composed: Sequence[Page], *, whole: bool = False) -> Sample:
    """Return the features of all excerpts of 8 bars, or of whole pieces."""
    rows: list[Features] = []
    sides: list[int] = []
    pieces: list[int] = []
    for number, page in enumerate((*real, *composed)):
        spans: Sequence[tuple[int, int]] = (
            [(page.pickup, page.pickup + page.bar_count * page.bar)]
            if whole
            else list(excerpts(page, EXCERPT_BARS))
        )
        for start, end in spans:
            found = features(page, start, end, whole=whole)
            if found is not None:
                rows.append(found)
                sides.append(int(number >= len(real)))
                pieces.append(number)
    counts: dict[str, int] = {}
    for row in rows:
        for name in row:
            counts[name] = counts.get(name, 0) + 1
    names = [name for name, count in counts.items() if count > MIN_SHARE * len(rows)]
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows])
    side, piece = np.array(sides), np.array(pieces)
    weights = 1 / np.bincount(piece)[piece]
    for one in (0, 1):
        weights[side == one] *= len(side) / 2 / weights[side == one].sum()
    return Sample(names, values, side, piece, weights)


def two_sample_test(
    real: Sequence[Page], composed: Sequence[Page], *, whole: bool = False, seed: int = 1
) -> Verdict:
    """Return how well composed pieces can be distinguished from real ones.

    Five folds, all excerpts of a piece on one side of each. Compare results only at equal numbers
    of pieces: an AUC from 16 pieces is about 0.1 lower than one from 48.

    Raises:
        ValueError: one side has fewer than five pieces with features.
    """
    data = sample(real, composed, whole=whole)
    for side in (0, 1):
        if len(set(data.pieces[data.composed == side])) < FOLDS:
            raise ValueError(f"the test needs at least {FOLDS} pieces on each side")
    boosted, linear = _predictions(data, seed)
    return Verdict(
        _auc(data, boosted),
        _bootstrap(data, boosted, seed),
        _auc(data, linear),
        _bootstrap(data, linear, seed),
        telling(data),
    )


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


def _predictions(data: Sample, seed: int) -> tuple[Array, Array]:
    """What both classifiers say of each excerpt when they have not seen its piece."""
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    boosted, linear = np.zeros(len(data.composed)), np.zeros(len(data.composed))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for train, held in folds.split(data.values, data.composed, data.pieces):
            fill = SimpleImputer(strategy="median").fit(data.values[train])
            seen, unseen = fill.transform(data.values[train]), fill.transform(data.values[held])
            truth, weights = data.composed[train], data.weights[train]
            trees: Any = GradientBoostingClassifier(
                n_estimators=100, max_depth=3, subsample=0.6, max_features=0.25,
                learning_rate=0.08, min_samples_leaf=4, random_state=seed,
            )  # fmt: skip
            trees.fit(seen, truth, sample_weight=weights)
            boosted[held] = trees.predict_proba(unseen)[:, 1]
            scale = StandardScaler().fit(seen)
            line: Any = LogisticRegression(C=0.03, max_iter=2000)
            line.fit(scale.transform(seen), truth, sample_weight=weights)
            linear[held] = line.predict_proba(scale.transform(unseen))[:, 1]
    return boosted, linear


def _weighted_auc(truth: NDArray[np.int64], value: Array, weights: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, value, sample_weight=weights))


def _auc(data: Sample, prediction: Array) -> float:
    return _weighted_auc(data.composed, prediction, data.weights)


def _bootstrap(data: Sample, prediction: Array, seed: int) -> tuple[float, float]:
    """The range of 95 % of AUCs when the pieces of each side are drawn with replacement."""
    rng = np.random.default_rng(seed)
    sides = [np.unique(data.pieces[data.composed == side]) for side in (0, 1)]
    found = []
    for _ in range(BOOTSTRAPS):
        drawn = np.concatenate([rng.choice(side, len(side)) for side in sides])
        times = np.bincount(drawn, minlength=int(data.pieces.max()) + 1)[data.pieces]
        kept = times > 0
        weights = data.weights[kept] * times[kept]
        found.append(_weighted_auc(data.composed[kept], prediction[kept], weights))
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
