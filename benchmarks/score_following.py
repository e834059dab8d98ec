"""Which note of the score is heard when, in a recording of a percussive instrument."""

from __future__ import annotations

import bisect
import itertools
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from appliance.ipc.ring import events_before
from appliance.ipc.shared_state import SharedState
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    TICKS_PER_BEAT,
    Event,
    NoteOn,
    PieceStart,
    TempoFactor,
)
from appliance.music.expression import scale_tempo_factor

_MATCH_S: Final = 0.08
"""A note is heard so near to where it is expected."""


class Onset(NamedTuple):
    """An onset of the score in the recording."""

    place: float
    moment: float


class PlayedScore:
    """The notes that were played, at places in ticks that no ritardando and no piece's tempo bends.

    Args:
        events: as the composer wrote them, in the order of their ticks.
        expression: at which they were played, 0 to 100.
    """

    def __init__(self, events: Sequence[Event], expression: float) -> None:
        permille, of_piece, tick, place = FULL_TEMPO_PERMILLE, FULL_TEMPO_PERMILLE, 0, 0.0
        ticks, places, onsets = [0], [0.0], set[float]()
        for event in events:
            place += (event.tick - tick) * FULL_TEMPO_PERMILLE**2 / (permille * of_piece)
            tick = event.tick
            ticks.append(tick)
            places.append(place)
            if isinstance(event, TempoFactor):
                permille = scale_tempo_factor(event.permille, expression)
            elif isinstance(event, PieceStart):
                of_piece = event.piece.tempo_permille
            elif isinstance(event, NoteOn):
                onsets.add(place)
        self._ticks, self._places = ticks, places
        self.onsets = sorted(onsets)

    def place(self, tick: float) -> float:
        """Where a tick is, in ticks at the full tempo."""
        return float(np.interp(tick, self._ticks, self._places))


class EventLog:
    """Collects what was played before the ring overwrites it."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._events: dict[int, Event] = {}
        self.update()

    def update(self) -> None:
        """Take over what has been played since; at least once for each lap of the ring."""
        read = self._shared.reader.read().read_index
        events = events_before(self._shared, read)
        self._events |= {read - len(events) + at: event for at, event in enumerate(events)}

    def score(self) -> PlayedScore:
        """All that was collected."""
        events = [event for _, event in sorted(self._events.items())]
        return PlayedScore(events, self._shared.live_settings.read().expression)


def ticks_per_s(tempo_bpm: float) -> float:
    """The speed of the music."""
    return tempo_bpm * TICKS_PER_BEAT / 60


def anchor(shared: SharedState, log: EventLog) -> tuple[float, float]:
    """A tick and the moment at which the performer rendered it."""
    tick = shared.reader.read().playhead_tick
    while shared.reader.read().playhead_tick == tick:
        time.sleep(0.0005)
    log.update()
    return shared.reader.read().playhead_tick, time.monotonic()


def follow(
    score: PlayedScore,
    moments: list[float],
    tempos: Sequence[tuple[float, float]],
    start: Onset,
) -> list[Onset]:
    """Which onset of the score is heard when.

    Args:
        score: what was played.
        moments: when something is struck in the recording.
        tempos: moments, and beats a minute from then on.
        start: roughly where the music is when the recording begins.
    """

    def expected(since: Onset, place: float) -> float:
        left, now = place - since.place, since.moment
        for (begins, bpm), (ends, _) in itertools.pairwise([*tempos, (float("inf"), 0.0)]):
            if ends <= now:
                continue
            now = max(now, begins)
            step = (ends - now) * ticks_per_s(bpm)
            if step >= left:
                return now + left / ticks_per_s(bpm)
            left -= step
            now = ends
        return now

    def near(moment: float) -> float | None:
        at = bisect.bisect(moments, moment)
        found = min(moments[max(0, at - 1) : at + 1], key=lambda m: abs(m - moment), default=None)
        return found if found is not None and abs(found - moment) <= _MATCH_S else None

    first = [place for place in score.onsets if place > start.place][:20]

    def misses(delay: float) -> float:
        shifted = start._replace(moment=start.moment + delay)
        gaps = [expected(shifted, place) for place in first]
        return sum(abs(gap - (near(gap) or gap + 1.0)) for gap in gaps)

    delay = min((n / 500 for n in range(-50, 200)), key=misses)
    last = start._replace(moment=start.moment + delay)
    heard = []
    for place in score.onsets:
        if place > last.place and (moment := near(expected(last, place))) is not None:
            last = Onset(place, moment)
            heard.append(last)
    return heard
