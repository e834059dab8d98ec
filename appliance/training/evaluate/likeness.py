"""How a model's music compares with the real music, and which setting makes it most like that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from appliance.training.evaluate.musical_facts import MANY_ACCIDENTALS, spread
from appliance.training.evaluate.page_measures import PageMeasures
from appliance.training.evaluate.two_sample import Verdict, linear_auc, two_sample_test

COMPOSED_PIECES = 48
"""Of every model, always: an AUC grows with the number of pieces that it is learned from."""
MAX_REAL_PIECES = 150
MIN_DIVERSITY = 0.95
"""Less :func:`diversity` than this is too little for a training that changes a model's music."""
CONTROL_SEED = 1
ENTRIES_OF_A_SUBJECT = 3

SUMMARY = (
    "pieces with three or more entries of the opening",
    "bars that return after four or more",
    "bar 5 has the rhythm of bar 1",
    "dominant to tonic over the bar line, median",
    "dominant sevenths on beats (four voices), median",
    "time with one note sounding, upper quartile",
    "opens in the key of its end",
    "four or more accidentals",
    "in minor",
    "time with chords that hands cannot take",
)
"""The facts stated of both sides, in the order of :func:`summary`."""


class Control(NamedTuple):
    """Two tests of as many pieces against one half of the real ones."""

    name: str
    pieces: int
    excerpts: Verdict
    whole: Verdict


@dataclass
class Likeness:
    """The comparison of one model's music with real music.

    Attributes:
        excerpts, whole: the tests of 8 bars and of whole pieces; test pieces are the judged ones.
        controls: the same tests at the number of pieces that the real music has for it.
        real, composed: what :func:`summary` tells of each side.
        diversity: how much the composed pieces differ from one another, over how much the real
            ones do.
        test_pieces: how many of the real pieces are test pieces; the others are training pieces.
    """

    excerpts: Verdict
    whole: Verdict
    controls: list[Control]
    real: list[float | None]
    composed: list[float | None]
    diversity: float
    test_pieces: int


@dataclass
class RealMeasures:
    """What was measured of the real music, and of what the controls make of it.

    Attributes:
        train: of a sample of the training pieces.
        valid, test: of the held-out pieces.
        shuffled: of the pieces of ``test`` and ``train``, in this order, with their bars shuffled.
        ngram: of an n-gram's pieces.
    """

    train: list[PageMeasures]
    valid: list[PageMeasures]
    test: list[PageMeasures]
    shuffled: list[PageMeasures]
    ngram: list[PageMeasures]


def compare(known: RealMeasures, composed: Sequence[PageMeasures]) -> Likeness:
    """Judge composed pieces.

    Raises:
        ValueError: one side has fewer than five pieces with features.
    """
    real = [*known.test, *known.train]
    judged = range(len(known.test))
    return Likeness(
        excerpts=_test(real, composed, judged),
        whole=_test(real, composed, judged, whole=True),
        controls=_controls(known, composed),
        real=summary(real),
        composed=summary(composed),
        diversity=diversity(real, composed),
        test_pieces=len(known.test),
    )


def diversity(real: Sequence[PageMeasures], composed: Sequence[PageMeasures]) -> float:
    """Return how much composed pieces differ from one another, over how much real ones do."""
    known = [measures.whole for measures in real]
    return spread([measures.whole for measures in composed], known) / spread(known, known)


def valid_auc(known: RealMeasures, composed: Sequence[PageMeasures]) -> float:
    """Return how well 8 bars can be told from the valid pieces: the AUC that chooses settings.

    Logistic regression has learned from training and valid pieces; the test pieces are unknown.

    Raises:
        ValueError: one side has fewer than five pieces with features.
    """
    real = [*known.valid, *known.train]
    return linear_auc(
        [m.excerpts for m in real], [m.excerpts for m in composed], judged=range(len(known.valid))
    )


def _test(
    real: Sequence[PageMeasures],
    composed: Sequence[PageMeasures],
    judged: Sequence[int] = (),
    *,
    whole: bool = False,
) -> Verdict:
    def rows(some: Sequence[PageMeasures]) -> list[list[dict[str, float]]]:
        return [measures.whole if whole else measures.excerpts for measures in some]

    return two_sample_test(rows(real), rows(composed), judged=judged)


def _controls(known: RealMeasures, composed: Sequence[PageMeasures]) -> list[Control]:
    real = [*known.test, *known.train]
    order = np.random.default_rng(CONTROL_SEED).permutation(len(real))[: 2 * COMPOSED_PIECES]
    half = [real[number] for number in order[::2]]
    count = len(order) // 2
    sides = {
        "real, other pieces": [real[number] for number in order[1::2]],
        "real, bars shuffled": [known.shuffled[number] for number in order[1::2]],
        "the model": list(composed[:count]),
        "an n-gram": known.ngram[:count],
    }
    return [
        Control(name, len(side), _test(half, side), _test(half, side, whole=True))
        for name, side in sides.items()
    ]


def summary(pieces: Sequence[PageMeasures]) -> list[float | None]:
    """Return one number for each entry of ``SUMMARY``; ``None`` where the music has no such thing.

    Args:
        pieces: at least one.
    """
    facts = [measures.facts for measures in pieces]

    def percentile(name: str, percent: int) -> float | None:
        values = [row[name] for measures in pieces for row in measures.whole if name in row]
        return float(np.percentile(values, percent)) if values else None

    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    return [
        mean([one.entries >= ENTRIES_OF_A_SUBJECT for one in facts]),
        mean([one.returning for one in facts]),
        mean([one.bar_5_as_bar_1 for one in facts]),
        percentile("harmony: dominant to tonic over the bar line", 50),
        percentile("chords on beats: dominant seventh", 50),
        percentile("texture: time with one note sounding", 75),
        mean([one.opens_at_home for one in facts]),
        mean([one.accidentals >= MANY_ACCIDENTALS for one in facts]),
        mean([one.minor for one in facts]),
        mean([one.unplayable for one in facts]),
    ]
