"""Features of texture: how many notes sound, and how far apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from appliance.training.evaluate.page_features.calculation import STEP, Features, share
from appliance.training.evaluate.pages import Page, PageNote


def sounding_pitches(page: Page, start: int, end: int) -> list[list[int]]:
    """Return the MIDI notes that sound in each 16th from ``start`` to ``end``.

    ``start`` and ``end`` are grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    found: list[list[int]] = [[] for _ in range(start, end, STEP)]
    for note in page.notes:
        if note.end > start and note.start < end:
            first, last = max(0, note.start - start) // STEP, -(-(note.end - start) // STEP)
            for step in range(first, min(len(found), last)):
                found[step].append(note.pitch)
    return found


_COUNTS = ("no notes", "one note", "two notes", "three notes", "four notes")


def add_texture(
    found: Features, notes: Sequence[PageNote], sounding: Sequence[Sequence[int]], beat: int
) -> None:
    """Add the features of texture; ``sounding`` is from :func:`sounding_pitches`.

    ``beat`` is in grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    number = np.array([len(set(pitches)) for pitches in sounding])
    for count, label in enumerate(_COUNTS):
        found[f"texture: time with {label} sounding"] = float(np.mean(number == count))
    found["texture: time with five or more notes sounding"] = float(np.mean(number >= 5))
    found["texture: notes sounding, mean"] = float(number.mean())
    found["texture: notes sounding, deviation"] = float(number.std())
    on_beats = number[:: max(1, beat // STEP)]
    found["texture: change of notes sounding from beat to beat"] = float(
        np.abs(np.diff(on_beats)).mean() if len(on_beats) > 1 else 0
    )
    struck = list(Counter(note.start for note in notes).values())
    found["texture: notes struck together, mean"] = float(np.mean(struck))
    for count, label in enumerate(_COUNTS[1:4], 1):
        found[f"texture: onsets of {label}"] = share([s for s in struck if s == count], struck)
    found["texture: onsets of four or more notes"] = share([s for s in struck if s > 3], struck)
    found["texture: same number struck as before"] = share(
        [1 for a, b in pairwise(struck) if a == b], max(0, len(struck) - 1)
    )
    spread = [max(pitches) - min(pitches) for pitches in sounding if len(set(pitches)) > 1]
    found["texture: distance of highest and lowest"] = float(np.mean(spread)) if spread else 0.0
    pitches = [note.pitch for note in notes]
    found["texture: lowest note"], found["texture: highest note"] = min(pitches), max(pitches)
    found["texture: mean pitch"] = float(np.mean(pitches))
    onsets = sorted({note.start for note in notes})
    following = dict(pairwise(onsets))
    held = [
        (note.end - note.start) / (following[note.start] - note.start)
        for note in notes
        if note.start in following
    ]
    found["texture: notes held over the next onset"] = share([h for h in held if h > 1.01], held)
    found["texture: notes that end before the next onset"] = share(
        [h for h in held if h < 0.99], held
    )
