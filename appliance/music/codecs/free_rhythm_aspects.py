"""The aspects of the next token in free rhythm, by which its logits are corrected.

As in :mod:`.four_part_aspects`, but the notes have no voices here: the highest and the lowest ones
stand for melody and bass, as a listener takes them. Only how these two move is corrected. Aspects
of harmony, waits and lengths were tried: their corrections gave the music away more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from appliance.common.copying import Copyable
from appliance.music.codecs.free_rhythm_tokens import FreeRhythmTokens
from appliance.music.codecs.input_layout import Inputs
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import Form

Indices = NDArray[np.intp]

_SIZES: Final = (0, 1, 2, 4, 7, 12)
"""The largest interval in semitones of each size; larger ones are one more."""
MOVES: Final = 2 * len(_SIZES) + 1
"""Intervals by size and direction."""
NO_MOVE: Final = MOVES
_MOVE: Final = np.array(
    [
        np.searchsorted(_SIZES, abs(interval)) + (len(_SIZES) if interval < 0 else 0)
        for interval in range(-127, 128)
    ]
)
"""The move of an interval, by its semitones plus 127."""
ASPECTS: Final = Inputs(
    # Of a note above all that sounds, and of one below: the move from the last such note after
    # the move before that, on a beat and off it.
    ("melody", 2 * (MOVES + 1), MOVES),
    ("bass", 2 * (MOVES + 1), MOVES),
    ("melody_returns", 1),
)
"""The layout of the corrections."""
NONE: Final = ASPECTS.width
"""Stands for no aspect."""


class NoteAspects(Copyable):
    """Knows the aspects of every class at the place where a piece is.

    Args:
        codec: the tokens.
        form: of the piece.
    """

    shared_when_copied = frozenset({"_codec", "_pitches"})

    def __init__(self, codec: FreeRhythmTokens, form: Form) -> None:
        self._codec = codec
        self._beat_ticks = form.beat_steps * TICKS_PER_STEP
        self._pickup_ticks = form.pickup_steps * TICKS_PER_STEP
        self._pitches = np.arange(codec.lowest, codec.highest + 1)
        self._melody: tuple[int, ...] = ()
        self._bass: tuple[int, ...] = ()
        """The last three notes above (below) which nothing sounded, the last one at the end."""

    def end_onset(self, sounding: Collection[int], struck: Sequence[int]) -> None:
        """Record the notes that were struck together, as MIDI notes, and all that sound then."""
        if max(struck) >= max(sounding):
            self._melody = (*self._melody[-2:], max(struck))
        if min(struck) <= min(sounding):
            self._bass = (*self._bass[-2:], min(struck))

    def none(self) -> Indices:
        """The aspects of every class where no note comes next, ``(0, classes)``."""
        return np.empty((0, self._codec.classes), dtype=np.intp)

    def of(self, tick: int, sounding: Collection[int], struck: Sequence[int]) -> Indices:
        """The aspects of every class as the next note, ``(rows, classes)``.

        Args:
            tick: where the note begins.
            sounding: MIDI notes.
            struck: MIDI notes struck at ``tick``.
        """
        codec, pitches = self._codec, self._pitches
        found = np.full((3, codec.classes), NONE, dtype=np.intp)
        rows = found[:, codec.first_pitch : codec.first_length]
        off_beat = int((tick - self._pickup_ticks) % self._beat_ticks > 0)
        if self._melody and not struck:
            # The notes of a chord go down: a lower one is no melody.
            is_highest = pitches > max(sounding, default=-1)
            last, moves = _moves(pitches, self._melody)
            melody = ASPECTS["melody", off_beat * (MOVES + 1) + last, 0] + moves
            rows[0, is_highest] = melody[is_highest]
            if len(self._melody) > 2:
                rows[1, pitches == self._melody[-2]] = ASPECTS["melody_returns", 0]
        if self._bass and sounding:
            # A note alone may get a bass only after it.
            is_lowest = pitches < min(sounding)
            last, moves = _moves(pitches, self._bass)
            bass = ASPECTS["bass", off_beat * (MOVES + 1) + last, 0] + moves
            rows[2, is_lowest] = bass[is_lowest]
        return found


def _moves(pitches: Indices, line: tuple[int, ...]) -> tuple[int, Indices]:
    """The last move of a line, and the moves to all pitches."""
    last = int(_MOVE[line[-1] - line[-2] + 127]) if len(line) > 1 else NO_MOVE
    return last, _MOVE[pitches - line[-1] + 127]
