"""The same network in another key, for averaging over transpositions.

A network that was trained in all transpositions still predicts a little differently in each. The
average over several is better than any of them: test-time augmentation, as Krizhevsky et al. 2012
do it with images.
"""

from __future__ import annotations

from appliance.music.codecs.base import Codec
from appliance.training.recipe import Weights


def transpose_weights(weights: Weights, codec: Codec, semitones: int) -> Weights:
    """Weights with which a network predicts a piece as it would the piece transposed up.

    Only inputs and classes are permuted. What would leave the codec's range counts as its last
    note.

    Names, shapes and dtype (float32) stay the same.
    """
    inputs, classes = codec.transposition_maps(semitones)
    return weights | {
        "embed.weight": weights["embed.weight"][inputs],
        "out.weight": weights["out.weight"][classes],
        "out.bias": weights["out.bias"][classes],
    }
