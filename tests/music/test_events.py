"""Bars and beats of a piece at a tick."""

from __future__ import annotations

import pytest

from appliance.music.events import TICKS_PER_BEAT, Piece


@pytest.mark.parametrize(
    ("beats_per_bar", "beat_ticks"),
    [(4, TICKS_PER_BEAT), (3, TICKS_PER_BEAT), (2, 3 * TICKS_PER_BEAT // 2), (3, 240)],
    ids=["4/4", "3/4", "6/8", "3/8"],
)
def test_bars_and_beats_are_counted_in_the_beats_of_the_meter(
    beats_per_bar: int, beat_ticks: int
) -> None:
    start, pickup = 7777, beat_ticks
    piece = Piece(1, 0, False, beats_per_bar, pickup, start, beat_ticks)
    places = [
        (piece.bar_at(tick), piece.beat_at(tick))
        for tick in range(start, start + pickup + 2 * beats_per_bar * beat_ticks, beat_ticks)
    ]
    wanted = [(0, beats_per_bar - 1)]
    wanted += [(bar, beat) for bar in (1, 2) for beat in range(beats_per_bar)]
    assert places == wanted
    assert piece.beat_at(start + pickup + beat_ticks - 1) == 0
