"""How well notes fit each key, by the weight of every degree.

Source: C. L. Krumhansl, E. J. Kessler, "Tracing the dynamic changes in perceived tonal
organization", Psychological Review 89 (1982), 334-368.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from appliance.music.events import TICKS_PER_BEAT
from appliance.music.notes import Note
from appliance.music.score import Key

PROFILES = {
    False: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    True: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""How well each degree fits a major and a minor key."""
MAX_WEIGHT_TICKS = 2 * TICKS_PER_BEAT
"""A longer note weighs no more."""
KEYS = tuple(Key(tonic, minor) for tonic in range(12) for minor in (False, True))


def pitch_class_weights(notes: Iterable[Note]) -> list[float]:
    """How long each of the twelve pitch classes sounds, in ticks."""
    weights = [0.0] * 12
    for note in notes:
        weights[note.pitch % 12] += min(note.length, MAX_WEIGHT_TICKS)
    return weights


def key_fit(weights: list[float], key: Key) -> float:
    """How well pitch classes fit a key: their correlation with its profile, -1 to 1.

    Raises:
        statistics.StatisticsError: all weights are equal.
    """
    return statistics.correlation(weights[key.tonic :] + weights[: key.tonic], PROFILES[key.minor])


def key_clarity(notes: Iterable[Note], key: Key) -> float:
    """How clearly notes state a key: its fit less that of the best other key, above 0 if it wins.

    -2 if there are no notes, or all twelve weigh the same.
    """
    weights = pitch_class_weights(notes)
    if len({*weights}) == 1:
        return -2.0
    others = max(key_fit(weights, other) for other in KEYS if other != key)
    return key_fit(weights, key) - others
