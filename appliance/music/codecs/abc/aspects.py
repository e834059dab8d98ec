"""The aspects of the next symbol of a tune, by which its logits are corrected.

As in :mod:`appliance.music.codecs.four_part_aspects`, for text: intervals are in scale degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.music.codecs.abc.tokens import CLASSES, PITCHES, TOKEN, UNIT_TICKS
from appliance.music.codecs.input_layout import Inputs
from appliance.music.codecs.match_model import MATCH_LENGTHS

MAX_INTERVAL: Final = 8
"""Larger intervals than an octave and a step are one."""
INTERVALS: Final = 2 * MAX_INTERVAL + 1
NO_INTERVAL: Final = INTERVALS
"""Before the second note."""
PLACES: Final = 5
"""Begin of a bar, a beat, an eighth, a 16th, and anything else."""

ASPECTS: Final = Inputs(
    # Of a note: the interval from the last one, after the interval before that.
    ("interval", INTERVALS + 1, INTERVALS),
    ("degree", 2 * PLACES, 7),
    # Whether three degrees lead on as they did before.
    ("figure", 2),
    # Whether it is the degree that stood here so many bars ago.
    ("bars_back", 3, 2),
    # Of any symbol: which one, by its place in the bar.
    ("symbol", PLACES, CLASSES),
    # Whether it is what followed the longest match, by the match's length.
    ("match", len(MATCH_LENGTHS) + 1, 2),
)
"""The layout of the corrections."""
NONE: Final = ASPECTS.width
"""Stands for no aspect."""

BARS_BACK: Final = (2, 4, 8)

_TOKENS: Final = np.array([TOKEN[symbol] for symbol in PITCHES])
_DEGREES: Final = np.array([*PITCHES.values()])


def _interval(degrees: int) -> int:
    return max(-MAX_INTERVAL, min(MAX_INTERVAL, degrees)) + MAX_INTERVAL


def place_of(here_ticks: int, beat_ticks: int) -> int:
    """The kind, below ``PLACES``, of a place that is ``here_ticks`` after its bar line."""
    lengths = (beat_ticks, UNIT_TICKS, UNIT_TICKS // 2)
    if not here_ticks:
        return 0
    return next((n for n, length in enumerate(lengths, 1) if here_ticks % length == 0), PLACES - 1)


def aspects_of(
    degrees: Sequence[int],
    place: int,
    minor: bool,
    earlier: Sequence[int | None],
    match: tuple[int | None, int],
) -> NDArray[np.intp]:
    """The aspects of every symbol, ``(rows, classes)``; ``NONE`` where there is none.

    Args:
        degrees: of the notes so far.
        place: see :func:`place_of`.
        minor: whether the tune is.
        earlier: the degree that stood here each of ``BARS_BACK`` bars ago, or ``None``.
        match: the predicted token, or ``None``, and the bucket of the match's length.
    """
    found = np.full((5 + len(BARS_BACK), CLASSES), NONE, dtype=np.intp)
    found[0] = ASPECTS["symbol", place, 0] + np.arange(CLASSES)
    predicted, bucket = match
    if predicted is not None:
        found[1] = ASPECTS["match", bucket, 0] + (np.arange(CLASSES) == predicted)
    found[2, _TOKENS] = ASPECTS["degree", int(minor) * PLACES + place, 0] + _DEGREES % 7
    if degrees:
        last = _interval(degrees[-1] - degrees[-2]) if len(degrees) > 1 else NO_INTERVAL
        moves = np.clip(_DEGREES - degrees[-1], -MAX_INTERVAL, MAX_INTERVAL) + MAX_INTERVAL
        found[3, _TOKENS] = ASPECTS["interval", last, 0] + moves
    if len(degrees) > 3:
        figure = (degrees[-2] - degrees[-3], degrees[-1] - degrees[-2])
        followed = [
            d - c
            for a, b, c, d in zip(degrees, degrees[1:], degrees[2:], degrees[3:], strict=False)
            if (b - a, c - b) == figure
        ]
        if followed:
            known = np.isin(_DEGREES - degrees[-1], followed)
            found[4, _TOKENS] = ASPECTS["figure", 0] + known
    for row, degree in enumerate(earlier):
        if degree is not None:
            found[5 + row, _TOKENS] = ASPECTS["bars_back", row, 0] + (degree == _DEGREES)
    return found
