"""Notes as they are written: bars, layers, note values, ties and beams, before any file format.

All times are on a grid of 10 ticks, a third of a 64th note, of which all usual durations are
multiples. Where notes of a staff overlap, the staff has as many layers as it needs. A duration
that no single note has is written as tied notes, across bar lines too.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from appliance.music.events import TICKS_PER_BEAT, Piece
from appliance.music.notes import Note

GRID_TICKS: Final = 10
DIVISIONS: Final = TICKS_PER_BEAT // GRID_TICKS
"""Of a quarter note."""

TYPES: Final = ("whole", "half", "quarter", "eighth", "16th", "32nd", "64th")
_EIGHTH: Final = TYPES.index("eighth")
_WHOLE: Final = 4 * DIVISIONS

_FLATTEST: Final = -3
"""Notes are spelt from this far below their key on the circle of fifths to eleven above that."""


class Value(NamedTuple):
    """A written duration: on the grid, and as notation has it."""

    duration: int
    type: str
    dots: int = 0
    triplet: bool = False


class Written(NamedTuple):
    """A note, chord or rest as it is written."""

    start: int
    value: Value
    pitches: tuple[int, ...]
    """Empty for a rest."""
    tied_from: bool = False
    """A tie comes from the note before."""
    tied_on: bool = False
    """A tie leads to the next note."""
    beams: tuple[str, ...] = ()
    """``begin``, ``continue``, ``end`` or a hook, by beam from the first."""

    @property
    def end(self) -> int:
        """Where it ends, on the grid."""
        return self.start + self.value.duration


Layer = list[tuple[int, int, tuple[int, ...]]]
"""Chords that do not overlap: start and end on the grid, and pitches."""


def _values() -> list[Value]:
    found = []
    for power, name in enumerate(TYPES):
        plain, rest = divmod(_WHOLE, 1 << power)
        if not rest:
            found.append(Value(plain, name))
            if plain % 2 == 0:
                found.append(Value(plain * 3 // 2, name, 1))
            if plain * 2 % 3 == 0:
                found.append(Value(plain * 2 // 3, name, triplet=True))
    # Where a dotted note is as long as a triplet note, the dotted one comes first.
    return sorted(found, key=lambda value: (-value.duration, value.triplet))


_VALUES: Final = _values()


def on_grid(tick: int) -> int:
    """The position on the grid that is nearest to a tick."""
    return (tick + GRID_TICKS // 2) // GRID_TICKS


def bar_length(about: Piece) -> int:
    """How long a whole bar is, on the grid."""
    return about.beats_per_bar * about.beat_ticks // GRID_TICKS


def bars(about: Piece, end: int) -> list[tuple[int, int]]:
    """The bars as half-open spans on the grid, up to ``end``.

    The first one may be a pickup; the last one is then shorter by it, if the music allows.
    """
    length = bar_length(about)
    pickup = about.pickup_ticks // GRID_TICKS
    edges = [0, *([pickup] if pickup else [])]
    while edges[-1] < end or len(edges) < 2:
        edges.append(edges[-1] + length)
    if pickup and len(edges) > 2 and end <= edges[-1] - pickup:
        edges[-1] -= pickup
    return list(itertools.pairwise(edges))


def layers(notes: Iterable[Note]) -> list[Layer]:
    """The notes of a staff as layers of chords that do not overlap."""
    together: dict[tuple[int, int], list[int]] = defaultdict(list)
    for note in notes:
        start = on_grid(note.start)
        together[start, max(on_grid(note.end), start + 1)].append(note.pitch)
    found: list[Layer] = []
    for (start, end), pitches in sorted(together.items()):
        layer = next((layer for layer in found if layer[-1][1] <= start), None)
        if layer is None:
            found.append(layer := [])
        layer.append((start, end, tuple(sorted(pitches))))
    return found


def bar_of(layer: Layer, start: int, end: int, beat: int) -> list[Written]:
    """One layer of one bar, with the rests between its notes.

    Args:
        layer: the whole layer.
        start: of the bar, on the grid.
        end: of the bar.
        beat: its length on the grid, within which notes are beamed.
    """
    found: list[Written] = []
    now = start
    for chord_start, chord_end, pitches in layer:
        if chord_end <= start or chord_start >= end:
            continue
        first, last = max(chord_start, start), min(chord_end, end)
        found += _written(now, first - now, ())
        found += _written(first, last - first, pitches, chord_start < first, chord_end > last)
        now = last
    return _beamed([*found, *_written(now, end - now, ())], start, beat)


def _written(
    start: int, duration: int, pitches: tuple[int, ...], tied_from: bool = False,
    tied_on: bool = False,
) -> Iterator[Written]:  # fmt: skip
    """A chord, or a rest if there are no pitches, as one written note or several tied ones."""
    values = list(_split(duration))
    for place, value in enumerate(values):
        from_before = bool(pitches) and (tied_from or place > 0)
        goes_on = bool(pitches) and (tied_on or place < len(values) - 1)
        yield Written(start, value, pitches, from_before, goes_on)
        start += value.duration


def _split(duration: int) -> Iterator[Value]:
    """The longest written values that make up ``duration``."""
    exact = next((value for value in _VALUES if value.duration == duration), None)
    while duration:
        fits = (value for value in _VALUES if value.duration <= duration and not value.triplet)
        value = exact or next(fits, Value(duration, ""))
        yield value
        duration -= value.duration


def _beamed(bar: Sequence[Written], start: int, beat: int) -> list[Written]:
    """The same bar with beams: notes of a beat that follow each other and are short enough."""
    found: list[Written] = []
    for _, group in itertools.groupby(bar, lambda w: ((w.start - start) // beat, _flags(w) > 0)):
        notes = list(group)
        flags = [_flags(note) for note in notes]
        if len(notes) < 2 or not flags[0]:
            found += notes
            continue
        for place, note in enumerate(notes):
            before = flags[place - 1] if place else 0
            after = flags[place + 1] if place + 1 < len(notes) else 0
            beams = tuple(_beam(n, before, after) for n in range(1, flags[place] + 1))
            found.append(note._replace(beams=beams))
    return found


def _flags(note: Written) -> int:
    """How many flags a note has; 0 for rests and longer notes."""
    if not note.pitches or not note.value.type:
        return 0
    return max(0, TYPES.index(note.value.type) - _EIGHTH + 1)


def _beam(number: int, before: int, after: int) -> str:
    if before >= number:
        return "continue" if after >= number else "end"
    if after >= number:
        return "begin"
    return "backward hook" if before else "forward hook"


def spelled(pitch: int, key_fifths: int) -> tuple[str, int, int]:
    """Letter, alteration in semitones and octave of a MIDI note in a key.

    The nearest on the circle of fifths is taken, and leading notes are raised.
    """
    place = pitch * 7 % 12
    lowest = key_fifths + _FLATTEST
    place = lowest + (place - lowest) % 12
    step, alter = "FCGDAEB"[(place + 1) % 7], (place + 1) // 7
    return step, alter, (pitch - alter) // 12 - 1
