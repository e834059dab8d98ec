"""The same network in another key.

Trained on all transpositions, a network still does not answer alike in every key; the mean of its
answers is better than each (test-time augmentation, as Krizhevsky et al. 2012 do it with images).
"""

from __future__ import annotations

from appliance.music.codecs.base import Codec
from appliance.training.recipe import Weights


def moved(weights: Weights, codec: Codec, semitones: int) -> Weights:
    """The network that takes a piece for the same piece so many semitones higher.

    Its inputs and answers are in other places, the rest is as it was; what leaves the codec's
    range counts as its last note.
    """
    inputs, classes = codec.moved(semitones)
    return weights | {
        "embed.weight": weights["embed.weight"][inputs],
        "out.weight": weights["out.weight"][classes],
        "out.bias": weights["out.bias"][classes],
    }
