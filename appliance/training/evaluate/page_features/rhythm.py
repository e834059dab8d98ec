"""Features of rhythm: when notes are struck."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.page_features.calculation import STEP, Features, entropy, share
from appliance.training.evaluate.pages import GRID, Page, PageNote

_WAITS = (
    ("32nds or faster", 1, 3), ("triplet 16ths", 4, 5), ("16ths", 6, 6), ("triplet 8ths", 8, 8),
    ("dotted 16ths", 9, 9), ("8ths", 12, 12), ("dotted 8ths", 18, 18), ("quarters", 24, 24),
    ("dotted quarters", 36, 36), ("halves or longer", 48, 1 << 30),
)  # fmt: skip


def add_rhythm(
    found: Features, page: Page, notes: Sequence[PageNote], start: int, end: int
) -> None:
    """Add the features of rhythm of ``notes`` from ``start`` to ``end`` (grid positions)."""
    bar, beat = page.bar, page.beat
    onsets = sorted({note.start for note in notes})
    waits = [b - a for a, b in pairwise(onsets)]
    bars, beats = max(1, round((end - start) / bar)), max(1, (end - start) // beat)
    found["rhythm: onsets a quarter"] = len(onsets) * GRID / (end - start)
    plain = 0
    for label, low, high in _WAITS:
        here = [wait for wait in waits if low <= wait <= high]
        plain += len(here)
        found[f"rhythm: waits of {label}"] = share(here, waits)
    found["rhythm: waits of no plain length"] = 1 - plain / max(1, len(waits))
    found["rhythm: wait same as the one before"] = share(
        [1 for a, b in pairwise(waits) if a == b], max(0, len(waits) - 1)
    )
    found["rhythm: entropy of waits (bits)"] = entropy(waits)
    found["rhythm: entropy of a wait after another (bits)"] = entropy(pairwise(waits)) - entropy(
        waits[:-1]
    )
    run = longest = 1
    for a, b in pairwise(waits):
        run = run + 1 if a == b else 1
        longest = max(longest, run)
    found["rhythm: longest run of one wait, share of all"] = longest / max(1, len(waits))
    per_beat = np.bincount([(at - start) // beat for at in onsets], minlength=beats)[:beats]
    found["rhythm: beats with nothing struck"] = float(np.mean(per_beat == 0))
    found["rhythm: change of onsets from beat to beat"] = float(
        np.abs(np.diff(per_beat)).mean() / max(0.1, per_beat.mean()) if beats > 1 else 0
    )
    found["rhythm: beats at the usual speed"] = Counter(per_beat.tolist()).most_common(1)[0][1] / (
        beats
    )
    struck = set(onsets)
    found["rhythm: bars struck on the downbeat"] = share(
        [b for b in range(bars) if start + b * bar in struck], bars
    )
    found["rhythm: beats struck"] = share(
        [b for b in range(beats) if start + b * beat in struck], beats
    )
    found["rhythm: onsets on beats"] = share([s for s in onsets if not (s - start) % beat], onsets)
    found["rhythm: onsets on 8ths off the beat"] = share(
        [s for s in onsets if (s - start) % beat and not (s - start) % 12], onsets
    )
    found["rhythm: onsets off the 16th grid"] = share(
        [s for s in onsets if (s - start) % STEP], onsets
    )
    found["rhythm: syncopations"] = share(
        [
            1
            for a, b in pairwise(onsets)
            if (a - start) % beat
            and (b - start) % beat
            and (a - start) // beat != (b - start) // beat
        ],
        onsets,
    )
    roll = np.zeros((end - start) // STEP + 1)
    roll[[(at - start) // STEP for at in onsets]] = 1
    for label, lag in (
        ("a beat", beat),
        ("a bar", bar),
        ("two bars", 2 * bar),
        ("four bars", 4 * bar),
    ):
        steps = lag // STEP
        if len(roll) > steps + 8:
            found[f"rhythm: like itself {label} before"] = _correlation(roll[:-steps], roll[steps:])
    lengths = [min(note.end - note.start, 8 * GRID) for note in notes]
    found["rhythm: median length (quarters)"] = float(np.median(lengths)) / GRID
    found["rhythm: entropy of lengths (bits)"] = entropy(lengths)
    per_bar = np.bincount([(at - start) // bar for at in onsets], minlength=bars)[:bars]
    found["rhythm: unevenness of onsets from bar to bar"] = float(
        per_bar.std() / max(0.1, per_bar.mean())
    )


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if not one.std() or not other.std():
        return 1.0
    return float(np.corrcoef(one, other)[0, 1])
