"""The grade of 'Bach or Mock': how far a piece strays from what Bach's are made of.

Source: Fang, Liu, Seetharaman and Pardo 2020, "Bach or Mock? A Grading Function for Chorales in
the Style of J. S. Bach". A feature's distance is the first Wasserstein distance between the
piece's histogram and the corpus's, whose entries stand in the order of their frequency in the
corpus, one apart; the grade is the sum of all distances, and less is better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from appliance.training.evaluate.finished_pieces import Heard
from appliance.training.evaluate.histograms import (
    OF_BOTH_MODES,
    PARALLELS,
    REPEATS,
    Features,
    Histogram,
    key_heard,
)

Distances = dict[str, float]
"""Of one piece, by feature."""


class Grader:
    """Grades pieces by those of a corpus.

    Args:
        features: what is counted.
        corpus: the pieces that show how it should be.
    """

    def __init__(self, features: Features, corpus: Sequence[Heard]) -> None:
        self._features = features
        self._known: dict[tuple[str, bool], Histogram] = {}
        self._notes = 0
        for piece in corpus:
            minor = key_heard(piece).minor
            self._notes += len(piece.notes)
            for name, found in features(piece).items():
                of = (name, minor and name not in OF_BOTH_MODES)
                self._known.setdefault(of, Counter()).update(found)

    def distances(self, piece: Heard) -> Distances:
        """How far each feature of a piece is from the corpus's."""
        minor = key_heard(piece).minor
        return {
            name: self._distance(name, found, len(piece.notes), minor=minor)
            for name, found in self._features(piece).items()
        }

    def _distance(self, name: str, found: Histogram, notes: int, *, minor: bool) -> float:
        known = self._known.get((name, minor and name not in OF_BOTH_MODES), Counter())
        if name == REPEATS:
            # Lengths are numbers already; a piece that repeats nothing repeats length 0.
            lengths = range(1 + max((n for n in (*known, *found) if isinstance(n, int)), default=0))
            return wasserstein(
                [found[n] for n in lengths] if found else [1],
                [known[n] for n in lengths] if known else [1],
            )
        apart = rank_distance(found, known)
        if name != PARALLELS:
            return apart
        # The paper weighs it by how much more often than Bach's a piece errs.
        if not found.total():
            return 0.0
        return apart * (found.total() / notes) / (max(1, known.total()) / self._notes)


def rank_distance(found: Histogram, known: Histogram) -> float:
    """Between histograms, the entries in the order of their frequency in ``known``.

    Those unknown come after these, the rarest first. One that counts nothing is taken for one
    that is unknown as a whole.
    """
    ranks = [entry for entry, _ in known.most_common()]
    foreign = [entry for entry, _ in reversed(found.most_common()) if entry not in known]
    order = ranks + foreign
    ours = [found[entry] for entry in order]
    return wasserstein(ours if any(ours) else [0] * len(ranks) + [1], [known[e] for e in order])


def wasserstein(a: Sequence[float], b: Sequence[float]) -> float:
    """The first Wasserstein distance of two histograms over 0, 1, 2 ... (not normalised)."""
    total_a, total_b = sum(a) or 1, sum(b) or 1
    moved = ahead = 0.0
    for n in range(max(len(a), len(b))):
        ahead += (a[n] if n < len(a) else 0) / total_a - (b[n] if n < len(b) else 0) / total_b
        moved += abs(ahead)
    return moved


def between(a: Sequence[float], b: Sequence[float]) -> float:
    """The first Wasserstein distance of two sets of numbers."""
    if not a or not b:
        return 0.0 if not a and not b else float("inf")
    cuts = sorted({*a, *b})
    moved = 0.0
    for low, high in pairwise(cuts):
        share_a = sum(x <= low for x in a) / len(a)
        share_b = sum(x <= low for x in b) / len(b)
        moved += abs(share_a - share_b) * (high - low)
    return moved


def grade(distances: Distances) -> float:
    """Of one piece."""
    return sum(distances.values())


def medians(of: Sequence[Distances]) -> Distances:
    """Of every feature over many pieces."""
    return {name: median(one[name] for one in of) for name in of[0]} if of else {}


def strayed(ours: Sequence[Distances], theirs: Sequence[Distances]) -> float:
    """How far a set of pieces is from another one: every feature's distances, set against set.

    Music that is more average than theirs strays as well as music that is wilder.
    """
    return sum(between([o[name] for o in ours], [t[name] for t in theirs]) for name in theirs[0])
