"""The grade of 'Bach or Mock': how far the features of a piece are from those of Bach's pieces.

Source: Fang, Liu, Seetharaman and Pardo 2020, "Bach or Mock? A Grading Function for Chorales in
the Style of J. S. Bach". The distance of a feature is the first Wasserstein distance between the
histograms of the piece and of the corpus. The entries are put in the order of their frequency in
the corpus, 1 apart. The grade is the sum of all distances; less is better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from appliance.training.evaluate.finished_pieces import FinishedPiece
from appliance.training.evaluate.style_features import (
    MODELESS_FEATURES,
    PARALLELS,
    REPEATS,
    Features,
    Histogram,
    estimate_key,
)

Distances = dict[str, float]
"""The distance of one piece from a corpus, for each feature."""


class StyleGrader:
    """Measures how far pieces are from a corpus.

    Args:
        features: the histograms of a piece.
        corpus: the pieces to compare with.
    """

    def __init__(self, features: Features, corpus: Sequence[FinishedPiece]) -> None:
        self._features = features
        self._known: dict[tuple[str, bool], Histogram] = {}
        self._note_count = 0
        for piece in corpus:
            minor = estimate_key(piece).minor
            self._note_count += len(piece.notes)
            for name, histogram in features(piece).items():
                key = (name, minor and name not in MODELESS_FEATURES)
                self._known.setdefault(key, Counter()).update(histogram)

    def distances(self, piece: FinishedPiece) -> Distances:
        """The distance of each feature of a piece from the corpus."""
        minor = estimate_key(piece).minor
        return {
            name: self._distance(name, histogram, len(piece.notes), minor=minor)
            for name, histogram in self._features(piece).items()
        }

    def _distance(self, name: str, histogram: Histogram, notes: int, *, minor: bool) -> float:
        known = self._known.get((name, minor and name not in MODELESS_FEATURES), Counter())
        if name == REPEATS:
            # Lengths have an order already; a piece without repeats counts as one of length 0.
            lengths = range(
                1 + max((n for n in (*known, *histogram) if isinstance(n, int)), default=0)
            )
            return wasserstein(
                [histogram[n] for n in lengths] if histogram else [1],
                [known[n] for n in lengths] if known else [1],
            )
        distance = rank_distance(histogram, known)
        if name != PARALLELS:
            return distance
        # The paper weights it by how much more often than Bach the piece errs.
        if not histogram.total():
            return 0.0
        return distance * (histogram.total() / notes) / (max(1, known.total()) / self._note_count)


def rank_distance(histogram: Histogram, known: Histogram) -> float:
    """The distance of two histograms whose entries are ordered by their frequency in ``known``.

    Entries that ``known`` does not have come after the others, the rarest first. A histogram that
    counts nothing is treated as if it had one such entry only.
    """
    ranked = [entry for entry, _ in known.most_common()]
    unknown = [entry for entry, _ in reversed(histogram.most_common()) if entry not in known]
    order = ranked + unknown
    counts = [histogram[entry] for entry in order]
    if not any(counts):
        counts = [0] * len(ranked) + [1]
    return wasserstein(counts, [known[entry] for entry in order])


def wasserstein(a: Sequence[float], b: Sequence[float]) -> float:
    """The first Wasserstein distance of two histograms over 0, 1, 2, ..., scaled to the sum 1."""
    total_a, total_b = sum(a) or 1, sum(b) or 1
    distance = surplus = 0.0
    for n in range(max(len(a), len(b))):
        surplus += (a[n] if n < len(a) else 0) / total_a - (b[n] if n < len(b) else 0) / total_b
        distance += abs(surplus)
    return distance


def grade(distances: Distances) -> float:
    """The grade of one piece: the sum of its distances."""
    return sum(distances.values())


def medians(distances: Sequence[Distances]) -> Distances:
    """The median over many pieces, for each feature."""
    if not distances:
        return {}
    return {name: median(piece[name] for piece in distances) for name in distances[0]}
