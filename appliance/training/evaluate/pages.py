"""Pieces as they stand on the printed page: notes on a fine grid, bars, and excerpts of them.

Real and composed music are compared on the page: no expression, repeats not played out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.music import key_finding
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.score import Key
from appliance.training.evaluate.finished_pieces import FinishedPiece

GRID = 24
"""Positions in a quarter note: a 32nd has 3, a triplet 16th 4, a 16th 6."""


_FINAL_BASS_WEIGHT = 0.15
"""What the last bass note adds to its pitch class, as a share of all: pieces end on their tonic."""


class PageNote(NamedTuple):
    """One note; ``start`` and ``end`` count grid positions since the piece began."""

    start: int
    end: int
    pitch: int
    voice: int


class KeyFit(NamedTuple):
    """A key and how well notes fit it: ``fit`` is a correlation, -1 to 1."""

    tonic: int
    minor: bool
    fit: float


@dataclass(frozen=True)
class Page:
    """One piece.

    Attributes:
        name: what to call it in a report.
        notes: ordered by start, from the highest down where they start together.
        bar: positions in a bar.
        beat: positions in a beat.
        pickup: positions before the first full bar.
        key: the key that the notes fit best.
    """

    name: str
    notes: tuple[PageNote, ...]
    bar: int
    beat: int
    pickup: int
    key: KeyFit

    @property
    def end(self) -> int:
        """The grid position at which the last note ends."""
        return max(note.end for note in self.notes)

    @property
    def bar_count(self) -> int:
        """Bars after the pickup, the last one counted as whole."""
        return max(1, -(-(self.end - self.pickup) // self.bar))


def make_page(
    name: str, notes: Sequence[PageNote], *, bar: int, beat: int, pickup: int = 0
) -> Page:
    """Return the page of ``notes``; a voice that doubles another one's note counts once.

    ``bar``, ``beat`` and ``pickup`` are lengths in grid positions, see :data:`GRID`.

    Raises:
        ValueError: there are no notes.
    """
    if not notes:
        raise ValueError(f"{name}: there are no notes on this page")
    single = {(note.start, note.pitch, note.voice): note for note in notes}
    ordered = tuple(sorted(single.values(), key=lambda note: (note.start, -note.pitch)))
    end = max(note.end for note in ordered)
    final_bass = min(note.pitch for note in ordered if note.end == end)
    return Page(name, ordered, bar, beat, pickup, find_key(ordered, final_bass))


def page_of(piece: FinishedPiece, name: str) -> Page:
    """Return the page of a piece whose ticks are those of the score.

    Raises:
        ValueError: the piece has no notes.
    """

    def place(tick: int) -> int:
        return round(tick * GRID / TICKS_PER_BEAT)

    form = piece.form
    step = GRID // 4
    notes = [
        PageNote(place(note.start), max(place(note.end), place(note.start) + 1), *note[2:])
        for note in piece.notes
    ]
    return make_page(
        name,
        notes,
        bar=form.bar_steps * step,
        beat=form.beat_steps * step,
        pickup=form.pickup_steps * step,
    )


def find_key(notes: Sequence[PageNote], final_bass: int | None = None) -> KeyFit:
    """Return the key whose profile correlates best with the lengths of the pitch classes.

    Lengths beyond a half note count as a half note. ``final_bass`` (a MIDI note) gets extra weight.
    """
    weights = np.zeros(12)
    for note in notes:
        weights[note.pitch % 12] += min(note.end - note.start, 2 * GRID)
    if final_bass is not None:
        weights[final_bass % 12] += _FINAL_BASS_WEIGHT * weights.sum()
    if not weights.std():
        return KeyFit(0, False, 0.0)
    turned = np.array([np.roll(weights, -tonic) for tonic in range(12)])
    turned = (turned - turned.mean(1, keepdims=True)) / turned.std(1, keepdims=True)
    best = KeyFit(0, False, -2.0)
    for minor, profile in key_finding.PROFILES.items():
        centred = np.array(profile) - np.mean(profile)
        fits = turned @ centred / (12 * centred.std())
        tonic = int(fits.argmax())
        if fits[tonic] > best.fit:
            best = KeyFit(tonic, minor, float(fits[tonic]))
    return best


def fifths_apart(one: KeyFit, other: KeyFit) -> int:
    """Return how many steps of the circle of fifths lie between two key signatures, 0 to 6."""
    distance = (Key(one.tonic, one.minor).fifths - Key(other.tonic, other.minor).fifths) % 12
    return min(distance, 12 - distance)


def with_shuffled_bars(page: Page, rng: np.random.Generator) -> Page:
    """Return the same bars in random order: what a piece is without any form.

    A note moves with the bar in which it starts; pickup and last bar stay.
    """
    count = page.bar_count
    order: NDArray[np.int64] = np.concatenate([rng.permutation(count - 1), [count - 1]]).astype(int)
    place = {int(old): new for new, old in enumerate(order)}
    moved = []
    for note in page.notes:
        bar = (note.start - page.pickup) // page.bar
        shift = (place.get(bar, bar) - bar) * page.bar
        moved.append(note._replace(start=note.start + shift, end=note.end + shift))
    moved.sort(key=lambda note: (note.start, -note.pitch))
    return replace(page, notes=tuple(moved))


def excerpts(page: Page, bars: int) -> Iterator[tuple[int, int]]:
    """Yield the spans (start, end, in grid positions) of consecutive excerpts of ``bars`` bars.

    The last excerpt may lack a quarter of its length.
    """
    last = page.pickup + page.bar_count * page.bar
    length = bars * page.bar
    for start in range(page.pickup, page.end - int(0.75 * length) + 1, length):
        yield start, min(start + length, last)
