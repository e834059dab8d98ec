"""Features of the outer lines, melody and bass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from appliance.training.evaluate.page_features.calculation import Features, share
from appliance.training.evaluate.pages import GRID, Page, PageNote

DIATONIC_STEP = (0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 6)
"""The scale step of each semitone over the tonic."""


def outer_lines(notes: Sequence[PageNote]) -> tuple[list[PageNote], list[PageNote]]:
    """Return melody and bass: notes above (below) which nothing sounds when they are struck."""

    def line(ordered: Iterable[PageNote], sign: int) -> list[PageNote]:
        found: list[PageNote] = []
        active: list[PageNote] = []
        for note in ordered:
            active = [other for other in active if other.end > note.start] + [note]
            outermost = max(sign * other.pitch for other in active)
            if sign * note.pitch >= outermost and (not found or found[-1].start < note.start):
                found.append(note)
        return found

    return line(notes, 1), line(sorted(notes, key=lambda note: (note.start, note.pitch)), -1)


def diatonic_step(pitch: int, tonic: int) -> int:
    """Return the scale step of a MIDI note, counted from ``tonic``, a pitch class (0 = C)."""
    octave, degree = divmod(pitch - tonic, 12)
    return 7 * octave + DIATONIC_STEP[degree]


_INTERVALS = {
    "repeated notes": (0,), "steps": (1, 2), "thirds": (3, 4), "fourths": (5,), "tritones": (6,),
    "fifths": (7,), "sixths": (8, 9), "sevenths": (10, 11), "octaves": (12,),
}  # fmt: skip


def add_line(found: Features, name: str, line: Sequence[PageNote]) -> None:
    """Add the features of one line, called ``name``."""
    intervals = [b.pitch - a.pitch for a, b in pairwise(line) if b.start - a.end <= GRID]
    sizes = Counter(map(abs, intervals))
    for label, semitones in _INTERVALS.items():
        found[f"{name}: {label}"] = sum(sizes[s] for s in semitones) / max(1, len(intervals))
    found[f"{name}: leaps over an octave"] = share([i for i in intervals if abs(i) > 12], intervals)
    found[f"{name}: semitones of all steps"] = sizes[1] / max(1, sizes[1] + sizes[2])
    moves = [i for i in intervals if i]
    found[f"{name}: rising moves"] = share([i for i in moves if i > 0], moves)
    pairs = list(pairwise(moves))
    found[f"{name}: turns of direction"] = share([1 for a, b in pairs if a * b < 0], pairs)
    leaps = [(a, b) for a, b in pairs if abs(a) >= 5]
    found[f"{name}: leaps followed by a contrary step"] = share(
        [1 for a, b in leaps if a * b < 0 and abs(b) <= 2], leaps
    )
    triples = list(zip(moves, moves[1:], moves[2:], strict=False))
    found[f"{name}: scale runs of three steps"] = share(
        [t for t in triples if max(map(abs, t)) <= 2 and abs(sum(t)) == sum(map(abs, t))], triples
    )
    found[f"{name}: broken chords"] = share(
        [1 for a, b in pairs if a * b > 0 and 3 <= abs(a) <= 5 and 3 <= abs(b) <= 5], pairs
    )
    found[f"{name}: two semitones in one direction"] = share(
        [1 for a, b in pairs if a == b and abs(a) == 1], pairs
    )
    pitches = [note.pitch for note in line] or [60]
    found[f"{name}: compass"] = max(pitches) - min(pitches)
    found[f"{name}: mean size of a move"] = float(np.abs(moves).mean()) if moves else 0.0
    length = max(GRID, line[-1].end - line[0].start) if line else GRID
    found[f"{name}: notes a quarter"] = len(line) * GRID / length


def figures(line: Sequence[PageNote], tonic: int) -> list[tuple[int, int]]:
    """Return (wait in grid positions, scale steps) from each note of a line to the next.

    ``tonic`` is a pitch class, 0 = C.
    """
    steps = [diatonic_step(note.pitch, tonic) for note in line]
    return [
        (b.start - a.start, t - s) for (a, s), (b, t) in pairwise(zip(line, steps, strict=True))
    ]


def add_outer_lines(
    found: Features, page: Page, top: Sequence[PageNote], bottom: Sequence[PageNote]
) -> None:
    """Add what melody and bass do together."""
    high, low = ({note.start: note.pitch for note in line} for line in (top, bottom))
    together = sorted(high.keys() & low.keys())
    moves = [(high[b] - high[a], low[b] - low[a]) for a, b in pairwise(together)]
    moves = [(a, b) for a, b in moves if a and b]
    found["outer lines: contrary motion"] = share([1 for a, b in moves if a * b < 0], moves)
    found["outer lines: struck together"] = len(together) / max(1, len(high.keys() | low.keys()))

    def four_note_figures(
        line: Sequence[PageNote],
    ) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
        signs = figures(line, page.key.tonic)
        return [(line[i].start, tuple(signs[i : i + 4])) for i in range(len(signs) - 3)]

    heard: dict[tuple[tuple[int, int], ...], list[int]] = {}
    for at, figure in four_note_figures([note for note in top if note.pitch >= 55]):
        heard.setdefault(figure, []).append(at)
    below = four_note_figures([note for note in bottom if note.pitch < 67])
    found["outer lines: bass and melody imitate each other"] = share(
        [
            1
            for at, figure in below
            if len({step for _, step in figure}) > 1
            and any(0 < abs(at - other) <= 4 * page.bar for other in heard.get(figure, ()))
        ],
        below,
    )
