"""What a piece in free rhythm is like as a whole, counted from its notes.

A network that has them as inputs writes one kind of music, not the average of all it learned: a
two-part invention whose bass never strikes a note again, or a gavotte in full chords. The idea is
that of FIGARO (von Rütte et al., ICLR 2023, arXiv 2201.10936), which tells such a description bar
by bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.notes import Note

OCTAVE = 12
STEP_SEMITONES = 2
"""The largest interval that is a step and not a leap."""
RETURN_BARS = 4
"""A bar returns if it is like one at least this many bars before."""
RETURN_LIKENESS = 0.5
"""From this share of common notes on, in the best transposition, two bars are alike."""


class Traits(NamedTuple):
    """Facts about a whole piece; all but the first two are shares from 0 to 1."""

    voices: float
    """How many notes sound at a time, on average, silence aside."""
    notes_per_quarter: float
    """Notes in a quarter note."""
    alone: float
    """Of the time in which anything sounds: how much of it one note sounds alone."""
    together: float
    """Of all notes: struck together with a higher one."""
    top_repeats: float
    """Of the moves of the highest line: to the same note again."""
    top_steps: float
    """Of the moves of the highest line: by a step."""
    bass_repeats: float
    """Of the moves of the lowest line: to the same note again."""
    bass_leaps: float
    """Of the moves of the lowest line: over more than an octave."""
    steady: float
    """How alike the rhythms of neighbouring bars are: common onsets in all onsets of both."""
    returns: float
    """Of the bars from the fifth on: like a bar four or more bars before, in any transposition."""


def traits_of(notes: Sequence[Note], bar_steps: int, pickup_steps: int) -> Traits:
    """The traits of a piece.

    Args:
        notes: by their start, and from the highest down where they start together; at least one.
        bar_steps: the length of a bar in 16th steps.
        pickup_steps: before the first full bar.
    """
    bar_ticks = bar_steps * TICKS_PER_STEP
    sounding, alone = _sounding_time(notes)
    onsets = len({note.start for note in notes})
    top, bass = _outer_moves(notes)
    bars = _bars(notes, bar_ticks, pickup_steps * TICKS_PER_STEP)
    length = max(note.end for note in notes) - notes[0].start
    values = Traits(
        voices=sum(note.length for note in notes) / sounding,
        notes_per_quarter=len(notes) * TICKS_PER_BEAT / length,
        alone=alone / sounding,
        together=1 - onsets / len(notes),
        top_repeats=_share(top, 0, 0),
        top_steps=_share(top, 1, STEP_SEMITONES),
        bass_repeats=_share(bass, 0, 0),
        bass_leaps=_share(bass, OCTAVE + 1, 127),
        steady=_steadiness(bars),
        returns=_returns(bars),
    )
    return Traits(*(round(value, 3) for value in values))


def _share(moves: Sequence[int], smallest: int, largest: int) -> float:
    """How many of the moves, in semitones up or down, have such a size; 0 if there are none."""
    return sum(smallest <= abs(move) <= largest for move in moves) / max(1, len(moves))


def _sounding_time(notes: Sequence[Note]) -> tuple[int, int]:
    """For how many ticks anything sounds, and for how many one note alone."""
    changes: Counter[int] = Counter()
    for note in notes:
        changes[note.start] += 1
        changes[note.end] -= 1
    sounding = alone = count = 0
    for tick, next_tick in pairwise(sorted(changes)):
        count += changes[tick]
        sounding += (next_tick - tick) * (count > 0)
        alone += (next_tick - tick) * (count == 1)
    return sounding, alone


def _outer_moves(notes: Sequence[Note]) -> tuple[list[int], list[int]]:
    """The moves of the highest and of the lowest line in semitones.

    A note belongs to a line if nothing that sounds when it is struck is higher, or lower.
    """
    top: list[int] = []
    bass: list[int] = []
    sounding: list[Note] = []
    for number, note in enumerate(notes):
        sounding = [other for other in sounding if other.end > note.start]
        struck = [note]
        for other in notes[number + 1 :]:
            if other.start > note.start:
                break
            struck.append(other)
        pitches = [other.pitch for other in (*sounding, *struck)]
        if note.pitch == max(pitches):
            top.append(note.pitch)
        if note.pitch == min(pitches):
            bass.append(note.pitch)
        sounding.append(note)
    return [b - a for a, b in pairwise(top)], [b - a for a, b in pairwise(bass)]


def _bars(notes: Sequence[Note], bar_ticks: int, pickup_ticks: int) -> list[set[tuple[int, int]]]:
    """The notes of every bar as ticks since the bar line, and pitches."""
    bars: dict[int, set[tuple[int, int]]] = {}
    for note in notes:
        bar, tick = divmod(note.start - pickup_ticks, bar_ticks)
        bars.setdefault(bar, set()).add((tick, note.pitch))
    return [bars.get(bar, set()) for bar in range(min(bars), max(bars) + 1)]


def _steadiness(bars: Sequence[set[tuple[int, int]]]) -> float:
    rhythms = [{tick for tick, _ in bar} for bar in bars]
    pairs = [(a, b) for a, b in pairwise(rhythms) if a and b]
    return sum(len(a & b) / len(a | b) for a, b in pairs) / max(1, len(pairs))


def _returns(bars: Sequence[set[tuple[int, int]]]) -> float:
    candidates = range(RETURN_BARS, len(bars))
    found = sum(
        any(_likeness(bars[bar], bars[other]) for other in range(bar - RETURN_BARS + 1))
        for bar in candidates
    )
    return found / max(1, len(candidates))


def _likeness(bar: set[tuple[int, int]], other: set[tuple[int, int]]) -> bool:
    """Whether two bars are alike, see ``RETURN_LIKENESS``."""
    most = min(len(bar), len(other))
    if most < RETURN_LIKENESS * max(len(bar), len(other), 1):
        return False
    pitches: dict[int, list[int]] = {}
    for tick, pitch in other:
        pitches.setdefault(tick, []).append(pitch)
    common = Counter(pitch - there for tick, pitch in bar for there in pitches.get(tick, ()))
    best = max(common.values(), default=0)
    return best >= RETURN_LIKENESS * (len(bar) + len(other) - best)
