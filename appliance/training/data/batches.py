"""Lanes of whole pieces, cut into chunks, for truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.music.codecs.base import Codec

IGNORED = -100
"""The target of padding (PyTorch's ``cross_entropy`` leaves it out)."""
NOTHING = -1
"""In an input, the place of a one that is not there: some tokens have fewer than others."""


class Piece(NamedTuple):
    """A score in the model's terms."""

    features: NDArray[np.int16]
    """``(tokens, k)``, ``NOTHING`` where a token has fewer than k ones."""
    targets: NDArray[np.int16]
    """``(tokens,)``"""


class Chunk(NamedTuple):
    """What the network sees at once."""

    features: NDArray[np.int64]
    """``(tokens, lanes, k)``, ``NOTHING`` where there are fewer than k."""
    targets: NDArray[np.int64]
    """``(tokens, lanes)``, ``IGNORED`` where a lane has run out."""
    fresh: NDArray[np.bool_]
    """``(lanes,)``: the lane begins here, so its state must be zero."""


def encode(codec: Codec, score: Any) -> Piece:
    """A score as arrays."""
    features, targets = codec.encode(score)
    k = max(map(len, features))
    rows = [row + [NOTHING] * (k - len(row)) for row in features]
    return Piece(np.array(rows, np.int16), np.array(targets, np.int16))


class Keys:
    """Every transposition of every piece that the codec can tell, encoded when first asked for.

    Args:
        codec: tells them.
        scores: the pieces.
        also: others, which are drawn as often as they are many times ``also_share``.
    """

    def __init__(self, codec: Codec, scores: Sequence[Any], also: Sequence[Any] = ()) -> None:
        self._codec = codec
        self._scores = [*scores, *also]
        self._own = len(scores)
        self._shifts = [codec.shifts(score) for score in self._scores]
        self._known: dict[tuple[int, int], Piece] = {}
        self.also_share = 1.0

    def draw(self, rng: np.random.Generator) -> Piece:
        """A random piece in a random key."""
        others = len(self._scores) - self._own
        if others and rng.random() < self.also_share * others / len(self._scores):
            number = self._own + int(rng.integers(others))
        else:
            number = int(rng.integers(self._own))
        shift = int(rng.choice(self._shifts[number]))
        if (number, shift) not in self._known:
            score = self._scores[number]
            moved = score.transposed(shift) if shift else score
            self._known[number, shift] = encode(self._codec, moved)
        return self._known[number, shift]


def chunks(
    keys: Keys,
    rng: np.random.Generator,
    *,
    lanes: int,
    tokens: int,
    crop_share: float,
    cycle: int = 1,
) -> Iterator[Chunk]:
    """Endless chunks; a lane plays one piece to its end, then another from a chunk's start.

    A share of the pieces is entered at a random multiple of ``cycle``, which shows the
    network more beginnings of its own memory than of the music.
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
                    start = cycle * int(rng.integers(max(1, len(piece.targets) // cycle - 4)))
                    piece = Piece(piece.features[start:], piece.targets[start:])
            parts.append(Piece(piece.features[:tokens], piece.targets[:tokens]))
            left = Piece(piece.features[tokens:], piece.targets[tokens:])
            rest[lane] = left if len(left.targets) else None
        yield pad(parts, tokens, fresh)


def pad(parts: list[Piece], tokens: int, fresh: NDArray[np.bool_]) -> Chunk:
    """Pieces side by side, each padded to ``tokens``."""
    k = max(part.features.shape[1] for part in parts)
    features = np.full((tokens, len(parts), k), NOTHING, np.int64)
    targets = np.full((tokens, len(parts)), IGNORED, np.int64)
    for lane, part in enumerate(parts):
        length, width = part.features.shape
        features[:length, lane, :width] = part.features
        targets[:length, lane] = part.targets
    return Chunk(features, targets, fresh)
