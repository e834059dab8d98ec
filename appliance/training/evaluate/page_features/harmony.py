"""Features of pitch, key and harmony."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.page_features.calculation import STEP, Features, share
from appliance.training.evaluate.pages import GRID, Page, PageNote, fifths_apart, find_key

SCALES = {False: {0, 2, 4, 5, 7, 9, 11}, True: {0, 2, 3, 5, 7, 8, 9, 10, 11}}
"""Semitones over the tonic that belong to the key, by ``minor``."""


CHORDS = {
    "major": (0, 4, 7), "minor": (0, 3, 7), "diminished": (0, 3, 6),
    "dominant seventh": (0, 4, 7, 10),
    "minor seventh": (0, 3, 7, 10), "major seventh": (0, 4, 7, 11),
    "half-diminished seventh": (0, 3, 6, 10), "diminished seventh": (0, 3, 6, 9),
}  # fmt: skip


def add_pitch(found: Features, page: Page, notes: Sequence[PageNote], start: int, end: int) -> None:
    """Add the features of pitch and key.

    ``start`` and ``end`` are grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    tonic, minor, _ = page.key
    weights = np.zeros(12)
    for note in notes:
        weights[(note.pitch - tonic) % 12] += min(note.end - note.start, 2 * GRID)
    weights /= weights.sum()
    for degree in range(12):
        found[f"pitch: {degree} semitones over the tonic"] = float(weights[degree])
    found["pitch: foreign to the piece's key"] = float(
        sum(weights[d] for d in range(12) if d not in SCALES[minor])
    )
    here = find_key(notes)
    found["key: clarity"] = here.fit
    found["key: fifths from the piece's key"] = fifths_apart(here, page.key)
    found["key: minor"] = float(minor)
    bar, bars = page.bar, max(1, round((end - start) / page.bar))
    local = []
    for at in range(start, start + bars * bar, 2 * bar):
        some = [note for note in notes if at <= note.start < at + 2 * bar]
        if len(some) > 5:
            local.append(find_key(some))
    found["key: clarity of two bars"] = (
        float(np.mean([k.fit for k in local])) if local else here.fit
    )
    found["key: fifths from two bars to the next two"] = (
        float(np.mean([fifths_apart(a, b) for a, b in pairwise(local)])) if len(local) > 1 else 0.0
    )
    in_bars: dict[int, set[int]] = {}
    in_beats: dict[int, set[int]] = {}
    for note in notes:
        in_bars.setdefault((note.start - start) // bar, set()).add(note.pitch % 12)
        in_beats.setdefault((note.start - start) // page.beat, set()).add(note.pitch % 12)
    found["pitch: classes in a bar"] = sum(map(len, in_bars.values())) / bars
    found["pitch: beats with three neighbouring semitones"] = share(
        [s for s in in_beats.values() if any({(p + 1) % 12, (p + 2) % 12} <= s for p in s)],
        max(1, (end - start) // page.beat),
    )


def _chord(weights: NDArray[np.float64], bass: int | None) -> tuple[int, str, float]:
    """Root, kind, and share of the weight that the best chord explains."""
    best = (-np.inf, 0, "", 0.0)
    for kind, intervals in CHORDS.items():
        for root in range(12):
            inside = [float(weights[(root + i) % 12]) for i in intervals]
            worth = sum(inside[:3]) + 0.5 * sum(inside[3:]) - 0.05 * len(intervals)
            worth += 0.3 * (bass is not None and bass % 12 == root)
            if worth > best[0]:
                best = (worth, root, kind, sum(inside) / float(weights.sum()))
    return best[1:]


_STRUCK_AGAINST = {
    "thirds and sixths": (3, 4, 8, 9), "octaves": (0,), "fifths": (7,), "fourths": (5,),
    "tritones": (6,), "whole tones and minor sevenths": (2, 10),
    "semitones and major sevenths": (1, 11),
}  # fmt: skip


def add_harmony(
    found: Features,
    page: Page,
    notes: Sequence[PageNote],
    sounding: Sequence[Sequence[int]],
    start: int,
    end: int,
    polyphonic: bool,
) -> None:
    """Add the features of chords and of what is struck against what sounds.

    ``start`` and ``end`` are grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    tonic, minor, _ = page.key
    beats, width = max(1, (end - start) // page.beat), page.beat // STEP
    chords: list[tuple[int, str] | None] = []
    explained = []
    for beat in range(beats):
        pitches = [p for step in sounding[beat * width : (beat + 1) * width] for p in step]
        if not pitches:
            chords.append(None)
            continue
        weights = np.bincount([p % 12 for p in pitches], minlength=12).astype(float)
        root, kind, share_explained = _chord(weights, min(pitches))
        chords.append((root, kind))
        explained.append(share_explained)
    found["harmony: share of a beat that one chord explains"] = float(np.mean(explained or [0]))
    sequence = [chord for chord in chords if chord]
    roots = [(b[0] - a[0]) % 12 for a, b in pairwise(sequence)]
    moves = [move for move in roots if move]
    found["harmony: beats that bring another root"] = share(moves, roots)
    for label, sizes in (
        ("fall a fifth", (5,)), ("rise a fifth", (7,)), ("move by thirds", (3, 4, 8, 9)),
        ("move by a semitone or a tritone", (1, 6, 11)),
    ):  # fmt: skip
        found[f"harmony: roots that {label}"] = share([m for m in moves if m in sizes], moves)
    for label, degree in (
        ("I", 0), ("II", 2), ("III", 4 - minor), ("IV", 5), ("V", 7), ("VI", 9 - minor),
    ):  # fmt: skip
        found[f"harmony: beats on {label}"] = share(
            [1 for root, _ in sequence if (root - tonic) % 12 == degree], sequence
        )
    found["harmony: seventh chords"] = share(
        [1 for _, kind in sequence if "seventh" in kind], sequence
    )
    downbeats = [beat for beat in range(1, beats) if not beat * page.beat % page.bar]
    cadences = 0
    for beat in downbeats:
        before, after = chords[beat - 1], chords[beat]
        if before and after and (after[0] - before[0]) % 12 == 5:
            cadences += before[1] in ("major", "dominant seventh")
    found["harmony: dominant to tonic over the bar line"] = cadences / max(1, len(downbeats))
    if not polyphonic:
        return
    against: Counter[int] = Counter()
    active: list[PageNote] = []
    for note in notes:
        active = [other for other in active if other.end > note.start]
        against.update(abs(o.pitch - note.pitch) % 12 for o in active if o.pitch != note.pitch)
        active.append(note)
    for label, classes in _STRUCK_AGAINST.items():
        found[f"harmony: struck against {label}"] = sum(against[c] for c in classes) / max(
            1, against.total()
        )
