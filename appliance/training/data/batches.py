"""Batches of whole pieces, cut into chunks for truncated back-propagation through time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.music.codecs.base import Codec

IGNORE_INDEX = -100
"""The target of padding, which PyTorch's ``cross_entropy`` leaves out."""
NO_INPUT = -1
"""Fills up the list of active inputs where a token has fewer of them than others."""
MIN_CROPPED_CYCLES = 4
"""At least this many cycles of the codec remain of a piece that is started in the middle."""
HIDDEN_SHARE = 0.1
"""How often each group of the codec's optional inputs is hidden for a whole piece."""


class EncodedPiece(NamedTuple):
    """A score as the model's inputs and targets."""

    features: NDArray[np.int16]
    """``(tokens, k)``: indices of the active inputs, padded to k with ``NO_INPUT``."""
    targets: NDArray[np.int16]
    """``(tokens,)``: the true class at each place."""


class Chunk(NamedTuple):
    """One training batch."""

    features: NDArray[np.int64]
    """``(tokens, batch, k)``: indices of the active inputs, padded with ``NO_INPUT``."""
    targets: NDArray[np.int64]
    """``(tokens, batch)``, padded with ``IGNORE_INDEX``."""
    starts: NDArray[np.bool_]
    """``(batch,)``: here a new piece starts, so the network's state must be zero."""


def encode(codec: Codec, score: Any) -> EncodedPiece:
    """A score of the codec's kind as int16 arrays, ``(tokens, k)`` and ``(tokens,)``.

    Raises:
        ValueError: the codec cannot encode the score.
    """
    features, targets = codec.encode(score)
    k = max(map(len, features))
    rows = [row + [NO_INPUT] * (k - len(row)) for row in features]
    return EncodedPiece(np.array(rows, np.int16), np.array(targets, np.int16))


class PieceSampler:
    """Draws random pieces in random transpositions, and encodes each when it is first drawn.

    In each piece that is drawn, some of the codec's optional inputs are hidden. Pieces that no
    transposition brings into the codec's range are never drawn.

    Args:
        codec: encodes the pieces.
        scores: the training pieces.
        pretrain_scores: pieces of another kind of music, drawn in proportion to their number
            times ``pretrain_share``.
    """

    def __init__(
        self, codec: Codec, scores: Sequence[Any], pretrain_scores: Sequence[Any] = ()
    ) -> None:
        self._codec = codec
        own, others = (
            [score for score in group if codec.transpositions(score)]
            for group in (scores, pretrain_scores)
        )
        self._scores = [*own, *others]
        self._train_count = len(own)
        self._shifts = [codec.transpositions(score) for score in self._scores]
        self._encoded: dict[int, EncodedPiece] = {}
        """Each piece in the nearest key to its own that is in the codec's range."""
        self._maps: dict[int, tuple[NDArray[np.int16], NDArray[np.int16]]] = {}
        self.pretrain_share = 1.0

    def sample(self, rng: np.random.Generator) -> EncodedPiece:
        """A random piece in a random transposition, as :func:`encode` gives it.

        Raises:
            ValueError: the codec cannot encode the score.
        """
        pretrain_count = len(self._scores) - self._train_count
        pretrain_probability = self.pretrain_share * pretrain_count / len(self._scores)
        if pretrain_count and rng.random() < pretrain_probability:
            number = self._train_count + int(rng.integers(pretrain_count))
        else:
            number = int(rng.integers(self._train_count))
        shift = int(rng.choice(self._shifts[number]))
        nearest = min(self._shifts[number], key=abs)
        if number not in self._encoded:
            score = self._scores[number]
            transposed = score.transposed(nearest) if nearest else score
            self._encoded[number] = encode(self._codec, transposed)
        piece = self._transposed(self._encoded[number], shift - nearest)
        return self._with_hidden_inputs(piece, rng)

    def _transposed(self, piece: EncodedPiece, semitones: int) -> EncodedPiece:
        if not semitones:
            return piece
        if semitones not in self._maps:
            inputs, classes = self._codec.transposition_maps(semitones)
            # NO_INPUT, which is -1, is the last item of its map.
            maps = np.array([*inputs, NO_INPUT], np.int16), np.array(classes, np.int16)
            self._maps[semitones] = maps
        inputs_map, classes_map = self._maps[semitones]
        return EncodedPiece(inputs_map[piece.features], classes_map[piece.targets])

    def _with_hidden_inputs(self, piece: EncodedPiece, rng: np.random.Generator) -> EncodedPiece:
        hidden = np.zeros(self._codec.width + 1, bool)
        for group in self._codec.optional_inputs:
            if rng.random() < HIDDEN_SHARE:
                hidden[group.start : group.stop] = True
        if not hidden.any():
            return piece
        features = np.where(hidden[piece.features], np.int16(NO_INPUT), piece.features)
        return EncodedPiece(features, piece.targets)


def chunks(
    sampler: PieceSampler,
    rng: np.random.Generator,
    *,
    batch_size: int,
    tokens: int,
    crop_probability: float,
    cycle: int = 1,
) -> Iterator[Chunk]:
    """Endless chunks of ``(tokens, batch_size)``, int64 as in :class:`Chunk`.

    Each row of the batch runs through one piece to its end; the next piece starts with the next
    chunk. Some pieces are cropped: they start at a random multiple of ``cycle``, so that the
    network meets its initial state at many places and not only at the start of the music.

    Raises:
        ValueError: as :meth:`PieceSampler.sample`.
    """
    remaining: list[EncodedPiece | None] = [None] * batch_size
    while True:
        starts = np.zeros(batch_size, bool)
        parts = []
        for row in range(batch_size):
            piece = remaining[row]
            if piece is None:
                piece, starts[row] = sampler.sample(rng), True
                if rng.random() < crop_probability:
                    cycles = len(piece.targets) // cycle
                    first = cycle * int(rng.integers(max(1, cycles - MIN_CROPPED_CYCLES)))
                    piece = EncodedPiece(piece.features[first:], piece.targets[first:])
            parts.append(EncodedPiece(piece.features[:tokens], piece.targets[:tokens]))
            rest = EncodedPiece(piece.features[tokens:], piece.targets[tokens:])
            remaining[row] = rest if len(rest.targets) else None
        yield pad(parts, tokens, starts)


def pad(parts: Sequence[EncodedPiece], tokens: int, starts: NDArray[np.bool_]) -> Chunk:
    """Put pieces side by side as a batch, each padded to ``tokens``.

    Args:
        parts: pieces of at most ``tokens`` tokens.
        tokens: length of the chunk.
        starts: ``(batch,)``, see :class:`Chunk`.

    Returns:
        features ``(tokens, batch, k)`` and targets ``(tokens, batch)``, both int64.
    """
    k = max(part.features.shape[1] for part in parts)
    features = np.full((tokens, len(parts), k), NO_INPUT, np.int64)
    targets = np.full((tokens, len(parts)), IGNORE_INDEX, np.int64)
    for row, part in enumerate(parts):
        length, width = part.features.shape
        features[:length, row, :width] = part.features
        targets[:length, row] = part.targets
    return Chunk(features, targets, starts)
