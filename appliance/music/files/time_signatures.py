"""What time signatures say of the first and the last bar of a piece."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from appliance.music.events import TICKS_PER_BEAT, Piece

_ROUNDING_TICKS = 1.0


class TimeSignature(NamedTuple):
    """A time signature from a tick of the piece on."""

    tick: float
    numerator: int
    denominator: int

    def bar_ticks(self, ticks_per_beat: float) -> float:
        """Length of its bars; ``ticks_per_beat`` is that of a quarter note."""
        return 4 * ticks_per_beat * self.numerator / self.denominator


def split_pickup(
    signatures: Sequence[TimeSignature], ticks_per_beat: float
) -> tuple[float | None, Sequence[TimeSignature]]:
    """The ticks before the first full bar if they are written down, and the other signatures.

    Programs write a pickup as a bar of its own, such as one of 1/4 before the 4/4; or they write
    the first time signature where the first full bar begins, or write it there once more.
    """
    if signatures and 0 < signatures[0].tick < signatures[0].bar_ticks(ticks_per_beat):
        return signatures[0].tick, signatures
    if len(signatures) < 2:
        return None, signatures
    first, second = signatures[:2]
    bar_ticks = first.bar_ticks(ticks_per_beat)
    is_one_bar = abs(second.tick - bar_ticks) < _ROUNDING_TICKS
    is_short = is_one_bar and bar_ticks < second.bar_ticks(ticks_per_beat)
    # A program that repeats the signature at every beat says nothing by it.
    third_ticks = signatures[2].tick - second.tick if len(signatures) > 2 else bar_ticks
    is_early = _ROUNDING_TICKS <= second.tick <= bar_ticks - _ROUNDING_TICKS <= third_ticks
    if first.tick == 0 and (is_short or is_early):
        return second.tick, signatures[1:]
    return None, signatures


def without_short_last_bar(
    signatures: Sequence[TimeSignature], ticks_per_beat: float, end_tick: float
) -> Sequence[TimeSignature]:
    """The signatures without one that only shortens the last bar, as after a pickup.

    ``end_tick`` is the end of the music.
    """
    for before, last in list(pairwise(signatures))[-1:]:
        bar_ticks = last.bar_ticks(ticks_per_beat)
        is_shorter = bar_ticks < before.bar_ticks(ticks_per_beat)
        ends_in_it = end_tick <= last.tick + bar_ticks + _ROUNDING_TICKS
        if before.tick < last.tick and is_shorter and ends_in_it:
            return signatures[:-1]
    return signatures


def time_signature(about: Piece) -> dict[str, int]:
    """The time signature of a piece: 6/8 for two beats of three eighths, and so on."""
    eighths = about.beats_per_bar * about.beat_ticks * 2 // TICKS_PER_BEAT
    if about.beat_ticks == TICKS_PER_BEAT:
        return {"numerator": about.beats_per_bar, "denominator": 4}
    return {"numerator": eighths, "denominator": 8}
