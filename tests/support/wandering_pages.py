"""Pages of a melody that wanders."""

from __future__ import annotations

import numpy as np

from appliance.training.evaluate.pages import GRID, Page, PageNote, make_page
from appliance.training.evaluate.two_sample import Rows, rows_of

SCALE = (0, 2, 4, 5, 7, 9, 11)


def wandering_page(seed: int, *, leap: int = 1) -> Page:
    """Sixteen bars of quarters in C major; each note is at most ``leap`` steps from the last."""
    rng = np.random.default_rng(seed)
    degree, notes = 7, []
    for beat in range(64):
        degree = int(np.clip(degree + rng.integers(-leap, leap + 1), 0, 20))
        pitch = 48 + 12 * (degree // 7) + SCALE[degree % 7]
        notes.append(PageNote(beat * GRID, (beat + 1) * GRID, pitch, 0))
    return make_page(f"{seed}", notes, bar=4 * GRID, beat=GRID)


def wandering_rows(seeds: range, leap: int = 1) -> list[Rows]:
    return [rows_of(wandering_page(seed, leap=leap)) for seed in seeds]
