"""What a bar of music is like, on its own and in view of the bars before it.

These features are for the critic that chooses among candidates. The judge of ``make quality`` has
others, of 8 bars and of whole pieces (``evaluate/page_features``), and never sees these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.notes import Note
from appliance.music.score import Form, Key
from appliance.training.data.bar_likeness import by_place, likeness
from appliance.training.evaluate.finished_pieces import FinishedPiece

MAX_BARS_BACK = 40
"""Returns are looked for in at most this many bars."""
NEAR_BARS = 4
"""A bar returns if it is like one at least this many bars before it."""
INTERVAL_ENDS = (0, 1, 2, 4, 7, 12)
"""Sizes of a move in semitones, each the largest of its class; larger ones have a class too."""
LENGTHS = 9
ONSET_PLACES = 8

Line = list[tuple[int, int]]
"""Tick in the bar and MIDI note of each note."""


class Bar:
    """The notes of one bar; ticks count from its beginning.

    Args:
        struck: the notes that begin in it.
        held: those that sound on from before.
        ticks: its length.
    """

    def __init__(self, struck: Sequence[Note], held: Sequence[Note], ticks: int) -> None:
        self.struck, self.ticks = struck, ticks
        self.sounding = [*held, *struck]

    @cached_property
    def by_onset(self) -> dict[int, list[int]]:
        """The MIDI notes struck at each tick."""
        return by_place((note.start, note.pitch) for note in self.struck)

    @cached_property
    def top(self) -> Line:
        """The highest note of each onset."""
        return [(tick, max(pitches)) for tick, pitches in sorted(self.by_onset.items())]

    @cached_property
    def bass(self) -> Line:
        """The notes struck below all that sounds."""
        return [
            (tick, low)
            for tick, pitches in sorted(self.by_onset.items())
            if (low := min(pitches)) == min(self.pitches_at(tick))
        ]

    def pitches_at(self, tick: int) -> list[int]:
        """The MIDI notes that sound at a tick."""
        return [note.pitch for note in self.sounding if note.start <= tick < note.end]


def bars_of(piece: FinishedPiece) -> list[Bar]:
    """Every bar of a piece, its pickup first if it has one."""
    ticks = piece.form.bar_steps * TICKS_PER_STEP
    first = first_bar_tick(piece.form)
    end = max((note.start for note in piece.notes), default=first) + 1
    return [bar_at(piece.notes, start, ticks) for start in range(first, end, ticks)]


def first_bar_tick(form: Form) -> int:
    """Where the first bar begins: before the piece does, if that has a pickup."""
    return (form.pickup_steps - form.bar_steps * bool(form.pickup_steps)) * TICKS_PER_STEP


def bar_at(notes: Sequence[Note], start: int, ticks: int) -> Bar:
    """The bar from tick ``start`` on; what sounds on is cut off at its end."""
    end = start + ticks
    inside = [
        note._replace(start=note.start - start, length=min(note.end, end) - note.start)
        for note in notes
        if note.start < end and note.end > start
    ]
    struck, held = ([n for n in inside if (n.start >= 0) == side] for side in (True, False))
    return Bar(struck, held, ticks)


def bar_features(bars: Sequence[Bar], index: int, key: Key, form: Form) -> NDArray[np.float64]:
    """Return the features of bar ``index``, ``(features,)``; those before it are its past."""
    bar, before = bars[index], bars[max(0, index - MAX_BARS_BACK) : index]
    last = before[-1] if before else Bar([], [], bar.ticks)
    return np.array(
        [
            *_rhythm(bar, form),
            *_degrees(bar, key),
            *_harmony(bar, last, form),
            *_line(bar.top, last.top),
            *_line(bar.bass, last.bass),
            *_texture(bar),
            *_returns(bar, before, bars[: min(2, index)]),
        ]
    )


def _shares(classes: Sequence[int], count: int, weights: Sequence[float] = ()) -> list[float]:
    """How often each class occurs, as shares of all."""
    found = np.zeros(count)
    np.add.at(found, np.array(classes, int), weights or 1.0)
    return list(found / max(1e-9, found.sum()))


def _rhythm(bar: Bar, form: Form) -> list[float]:
    lengths = [
        min(LENGTHS - 1, max(0, math.floor(math.log2(max(1, n.length) / TICKS_PER_STEP) + 2)))
        for n in bar.struck
    ]
    places = [tick * ONSET_PLACES // bar.ticks for tick in bar.by_onset]
    quarters = bar.ticks / TICKS_PER_BEAT
    onsets = len(places) / quarters
    wanted = form.facts.onsets_per_quarter or onsets
    beats = range(0, bar.ticks, form.beat_steps * TICKS_PER_STEP)
    return [
        *_shares(lengths, LENGTHS),
        *_shares(places, ONSET_PLACES),
        len(bar.struck) / quarters,
        onsets,
        math.log((onsets + 0.5) / (wanted + 0.5)),
        sum(tick in bar.by_onset for tick in beats) / len(beats),
        len({b - a for a, b in pairwise(sorted(bar.by_onset))}),
        sum(tick % TICKS_PER_STEP > 0 for tick in bar.by_onset) / max(1, len(bar.by_onset)),
    ]


def _degrees(bar: Bar, key: Key) -> list[float]:
    """By semitones over the tonic, apart for the modes."""
    classes = [(n.pitch - key.tonic) % 12 for n in bar.struck]
    shares = _shares(classes, 12, [n.length for n in bar.struck])
    return [*shares, *(share * key.minor for share in shares)]


def _harmony(bar: Bar, last: Bar, form: Form) -> list[float]:
    """Intervals over the bass, dissonances on beats, and how the bass moves from beat to beat."""
    over_bass: list[int] = []
    clashes = 0
    for tick, struck in bar.by_onset.items():
        sounding = bar.pitches_at(tick)
        over_bass += [(p - min(sounding)) % 12 for p in sounding if p > min(sounding)]
        clashes += any((p - q) % 12 in (1, 11) for p in struck for q in sounding)
    beat = form.beat_steps * TICKS_PER_STEP
    chords = [last.pitches_at(bar.ticks - beat)]
    chords += [bar.pitches_at(tick) for tick in range(0, bar.ticks, beat)]
    moves = [(min(b) - min(a)) % 12 for a, b in pairwise(chords) if a and b]
    hard = sum(any((p - min(c)) % 12 in (1, 2, 6, 10, 11) for p in c) for c in chords[1:] if c)
    common = [len({p % 12 for p in a} & {p % 12 for p in b}) for a, b in pairwise(chords)]
    return [
        *_shares(over_bass, 12),
        clashes / max(1, len(bar.by_onset)),
        hard / len(chords),
        *_shares(moves, 12),
        float(np.mean(common)),
    ]


def _line(line: Line, before: Line) -> list[float]:
    """How a line moves, the step from the bar before included."""
    pitches = [pitch for _, pitch in (*before[-1:], *line)]
    moves = [b - a for a, b in pairwise(pitches)]
    sizes = [sum(abs(move) > end for end in INTERVAL_ENDS) for move in moves]
    classes = [
        len(INTERVAL_ENDS) + (size if move > 0 else -size)
        for move, size in zip(moves, sizes, strict=True)
    ]
    pairs = [*pairwise(moves)]
    turns = sum(a * b < 0 for a, b in pairs)
    runs = sum(a * b > 0 and max(abs(a), abs(b)) <= 2 for a, b in pairs)
    chords = sum(a * b > 0 and min(abs(a), abs(b)) > 2 for a, b in pairs)
    fall_back = sum(a == -b for a, b in pairs)
    count = max(1, len(pairs))
    return [
        *_shares(classes, 2 * len(INTERVAL_ENDS) + 1),
        *(found / count for found in (turns, runs, chords, fall_back)),
        float(np.mean(np.abs(moves))) if moves else 0.0,
        len({*pitches}) / max(1, len(pitches)),
        len(line) * TICKS_PER_BEAT / 1000,
    ]


def _texture(bar: Bar) -> list[float]:
    """How many notes sound and how far apart they are."""
    steps = range(0, bar.ticks, TICKS_PER_STEP)
    chords = [bar.pitches_at(tick) for tick in steps]
    counts = [len(chord) for chord in chords]
    spans = [max(chord) - min(chord) for chord in chords if len(chord) > 1]
    pitches = [note.pitch for note in bar.sounding]
    sizes = [len(struck) for struck in bar.by_onset.values()]
    return [
        *_shares([min(count, 5) for count in counts], 6),
        float(np.mean(counts)),
        float(np.std(counts)),
        float(np.mean(spans)) / 12 if spans else 0.0,
        *_shares([min(size, 4) - 1 for size in sizes], 4),
        float(np.mean(pitches)) / 12 if pitches else 5.0,
        (max(pitches) - min(pitches)) / 12 if pitches else 0.0,
    ]


def _returns(bar: Bar, before: Sequence[Bar], opening: Sequence[Bar]) -> list[float]:
    """How like the bars before it is, in any transposition, and how its lines imitate."""
    alike = [likeness(bar.by_onset, other.by_onset) for other in reversed(before)]
    rhythms = [_same_rhythm(bar, other) for other in reversed(before[-NEAR_BARS:])]
    far = alike[NEAR_BARS - 1 :]
    last = before[-1] if before else None
    return [
        *(alike[n - 1] if len(alike) >= n else 0.0 for n in (1, 2, 4)),
        *(rhythms[n - 1] if len(rhythms) >= n else 0.0 for n in (1, 2, 4)),
        max(alike[: NEAR_BARS - 1], default=0.0),
        max(far, default=0.0),
        float(max(far, default=0.0) >= 0.5),
        max((likeness(bar.by_onset, other.by_onset) for other in opening), default=0.0),
        _line_likeness(bar.bass, last.top) if last else 0.0,
        _line_likeness(bar.top, last.bass) if last else 0.0,
        _line_likeness(bar.top, last.top) if last else 0.0,
        _line_likeness(bar.bass, last.bass) if last else 0.0,
        _line_likeness(bar.bass, bar.top),
    ]


def _line_likeness(one: Line, other: Line) -> float:
    return likeness(by_place(one), by_place(other))


def _same_rhythm(one: Bar, other: Bar) -> float:
    a, b = one.by_onset.keys(), other.by_onset.keys()
    return len(a & b) / max(1, len(a | b))
