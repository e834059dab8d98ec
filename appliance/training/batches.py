"""Lanes of whole pieces, cut into chunks, for truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.music.codec import HIGHEST, LOWEST, SatbCodec
from appliance.music.score import VOICES, Score

IGNORED = -100
"""The target of padding (PyTorch's ``cross_entropy`` leaves it out)."""
SHIFTS = range(-5, 7)


class Piece(NamedTuple):
    """A score in the model's terms."""

    features: NDArray[np.int16]
    """``(tokens, k)``"""
    targets: NDArray[np.int16]
    """``(tokens,)``"""


class Chunk(NamedTuple):
    """What the network sees at once."""

    features: NDArray[np.int64]
    """``(tokens, lanes, k)``"""
    targets: NDArray[np.int64]
    """``(tokens, lanes)``, ``IGNORED`` where a lane has run out."""
    fresh: NDArray[np.bool_]
    """``(lanes,)``: the lane begins here, so its state must be zero."""


def encode(codec: SatbCodec, score: Score) -> Piece:
    """A score as arrays."""
    features, targets = codec.encode(score)
    return Piece(np.array(features, np.int16), np.array(targets, np.int16))


class Keys:
    """Every transposition of every piece that stays in range, encoded when first asked for."""

    def __init__(self, codec: SatbCodec, scores: list[Score]) -> None:
        self._codec = codec
        self._scores = scores
        self._shifts = []
        for score in scores:
            low, high = score.range()
            self._shifts.append([s for s in SHIFTS if LOWEST - low <= s <= HIGHEST - high])
        self._known: dict[tuple[int, int], Piece] = {}

    def draw(self, rng: np.random.Generator) -> Piece:
        """A random piece in a random key."""
        number = int(rng.integers(len(self._scores)))
        shift = int(rng.choice(self._shifts[number]))
        if (number, shift) not in self._known:
            score = self._scores[number].transposed(shift)
            self._known[number, shift] = encode(self._codec, score)
        return self._known[number, shift]


def chunks(
    keys: Keys, rng: np.random.Generator, *, lanes: int, tokens: int, crop_share: float
) -> Iterator[Chunk]:
    """Endless chunks; a lane plays one piece to its end, then another from a chunk's start.

    A share of the pieces is entered at a random step, which shows the network more
    beginnings of its own memory than of the music.
    """
    rest: list[Piece | None] = [None] * lanes
    while True:
        fresh = np.zeros(lanes, bool)
        parts = []
        for lane in range(lanes):
            piece = rest[lane]
            if piece is None:
                piece, fresh[lane] = keys.draw(rng), True
                if rng.random() < crop_share:
                    start = VOICES * int(rng.integers(len(piece.targets) // VOICES - 4))
                    piece = Piece(piece.features[start:], piece.targets[start:])
            parts.append(Piece(piece.features[:tokens], piece.targets[:tokens]))
            left = Piece(piece.features[tokens:], piece.targets[tokens:])
            rest[lane] = left if len(left.targets) else None
        yield pad(parts, tokens, fresh)


def pad(parts: list[Piece], tokens: int, fresh: NDArray[np.bool_]) -> Chunk:
    """Pieces side by side, each padded to ``tokens``."""
    k = parts[0].features.shape[1]
    features = np.zeros((tokens, len(parts), k), np.int64)
    targets = np.full((tokens, len(parts)), IGNORED, np.int64)
    for lane, part in enumerate(parts):
        features[: len(part.targets), lane] = part.features
        targets[: len(part.targets), lane] = part.targets
    return Chunk(features, targets, fresh)
