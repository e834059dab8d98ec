"""What repeats too much of the corpus to be held up as an example."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from appliance.music.events import TICKS_PER_BEAT
from appliance.music.notes import Note
from appliance.training.evaluate.finished_pieces import FinishedPiece
from appliance.training.evaluate.originality import SharedRuns

BACK_TICKS = 8 * TICKS_PER_BEAT
"""So much of what comes before is looked at together with a candidate."""
LIMIT_PERCENTILE = 95


class CopyGuard:
    """Knows the corpus, and how much of it held-out pieces of the same composer have.

    Args:
        corpus: the pieces that the model has learned from.
        held_out: pieces that it has not.
    """

    def __init__(self, corpus: Sequence[FinishedPiece], held_out: Sequence[FinishedPiece]) -> None:
        self._runs = SharedRuns([piece.notes for piece in corpus])
        lengths = [
            self._runs.longest(_window(piece.notes, tick, tick + BACK_TICKS // 2))
            for piece in held_out
            for tick in range(BACK_TICKS, piece.ticks, BACK_TICKS // 2)
        ]
        self.limit = float(np.percentile(lengths, LIMIT_PERCENTILE)) if lengths else 0.0
        """The longest run in notes that is no copy."""

    def is_copied(self, notes: Sequence[Note], tick: int) -> bool:
        """Whether what begins at ``tick`` shares a longer run with the corpus than real music."""
        return self._runs.longest(_window(notes, tick, None)) > self.limit


def _window(notes: Sequence[Note], tick: int, end: int | None) -> list[Note]:
    return [
        note
        for note in notes
        if note.start >= tick - BACK_TICKS and (end is None or note.start < end)
    ]
