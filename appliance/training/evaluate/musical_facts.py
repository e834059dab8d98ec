"""What a listener or a player notices in a piece: entries, returns, keys, what hands can play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.music.score import Key
from appliance.training.data.bar_likeness import by_place, likeness
from appliance.training.evaluate.page_features.calculation import share
from appliance.training.evaluate.page_features.lines import diatonic_step, outer_lines
from appliance.training.evaluate.page_features.structure import bar_contents
from appliance.training.evaluate.page_features.texture import sounding_pitches
from appliance.training.evaluate.pages import Page, fifths_apart, find_key
from appliance.training.evaluate.two_sample import Rows

ENTRY_NOTES = 8
RETURN_BARS = 4
"""A bar that is like one at least this many bars before it returns."""
RETURN_LIKENESS = 0.5
MANY_ACCIDENTALS = 4
PHRASE_BARS = 4

VIOLIN, CELLO = (55, 62, 69, 76), (36, 43, 50, 57)
"""Open strings, MIDI notes."""
VIOLIN_REACH, CELLO_REACH = 7, 5
"""Semitones between the lowest and the highest finger."""
HAND_SPAN = 16
"""A major tenth, in semitones."""
FINGERS = 5
MAX_FEATURE_DEVIATIONS = 3.0


class MusicalFacts(NamedTuple):
    """What was found in one piece."""

    entries: int
    """How often the first eight notes of the melody are heard, in any voice and key."""
    returning: float
    """Share of the bars, from the fifth on, at least half of whose notes return in another key or
    the same from a bar at least four before."""
    bar_5_as_bar_1: bool
    """Bar 5 has the rhythm of bar 1."""
    accidentals: int
    """In the signature of the key that the notes fit best."""
    minor: bool
    opens_at_home: bool
    """The first four bars have the signature of the whole piece."""
    unplayable: float
    """Share of the time with two or more notes that no hand (or no two hands) can take."""


def facts_of(page: Page, *, solo_strings: bool) -> MusicalFacts:
    """Return the facts of a page; ``solo_strings`` decides what hands can play."""
    first = [n for n in page.notes if n.start < page.pickup + PHRASE_BARS * page.bar]
    count = page.bar_count
    rhythms, _, _ = bar_contents(page.notes, page.pickup, page.bar, count, page.key.tonic)
    return MusicalFacts(
        entries=len(entries(page)),
        returning=returning_share(page),
        bar_5_as_bar_1=count > RETURN_BARS and rhythms[RETURN_BARS] == rhythms[0],
        accidentals=accidentals(page),
        minor=page.key.minor,
        opens_at_home=bool(first) and not fifths_apart(find_key(first), page.key),
        unplayable=unplayable_share(page, solo_strings=solo_strings),
    )


def entries(page: Page) -> list[int]:
    """Return where the opening is heard (grid positions), in any voice and on any degree.

    All eight notes have to be there at their times, and all but two on their exact degree; the
    others may be a step off, as in the answer of a fugue.
    """
    top, _ = outer_lines(page.notes)
    head, tonic = top[:ENTRY_NOTES], page.key.tonic
    if len(head) < ENTRY_NOTES:
        return []
    struck: dict[int, list[int]] = {}
    for note in page.notes:
        struck.setdefault(note.start, []).append(diatonic_step(note.pitch, tonic))
    first = diatonic_step(head[0].pitch, tonic)
    figure = [(n.start - head[0].start, diatonic_step(n.pitch, tonic) - first) for n in head]

    def is_entry(at: int, step: int) -> bool:
        exact = 0
        for place, (wait, rise) in enumerate(figure):
            off = [abs(other - step - rise) for other in struck.get(at + wait, ())]
            if not off or min(off) > (1 if place else 0):
                return False
            exact += min(off) == 0
        return exact >= ENTRY_NOTES - 2

    return [at for at, steps in struck.items() if any(is_entry(at, step) for step in steps)]


def returning_share(page: Page) -> float:
    """Return the share of bars that return, see :attr:`MusicalFacts.returning`.

    How alike two bars are is said by :func:`appliance.training.data.bar_likeness.likeness`.
    """
    bars: list[set[tuple[int, int]]] = [set() for _ in range(page.bar_count)]
    for note in page.notes:
        number, place = divmod(note.start - page.pickup, page.bar)
        if 0 <= number < len(bars):
            bars[number].add((place, note.pitch))
    notes = [by_place(bar) for bar in bars]
    late = range(RETURN_BARS, len(bars))
    return share(
        [
            1
            for number in late
            if any(
                likeness(notes[number], notes[earlier]) >= RETURN_LIKENESS
                for earlier in range(number - RETURN_BARS + 1)
            )
        ],
        late,
    )


def accidentals(page: Page) -> int:
    """Return how many sharps or flats the signature of the piece's key has, 0 to 6."""
    return Key(page.key.tonic, page.key.minor).accidentals


def unplayable_share(page: Page, *, solo_strings: bool) -> float:
    """Return the share of the time with two or more notes in which hands cannot take them all.

    Strings: neighbouring strings of a violin (of a cello, where the piece goes below its lowest
    note), within the reach of one hand. Otherwise two hands, neither wider than a major tenth.
    """
    sounding = [
        sorted(set(pitches))
        for pitches in sounding_pitches(page, page.pickup, page.end)
        if len(set(pitches)) > 1
    ]
    if not solo_strings:
        return share([1 for chord in sounding if not _two_hands_take(chord)], sounding)
    lowest = min(note.pitch for note in page.notes)
    strings, reach = (VIOLIN, VIOLIN_REACH) if lowest >= VIOLIN[0] else (CELLO, CELLO_REACH)
    return share([1 for chord in sounding if not _strings_take(chord, strings, reach)], sounding)


def _two_hands_take(chord: Sequence[int]) -> bool:
    def takes(notes: Sequence[int]) -> bool:
        return not notes or (len(notes) <= FINGERS and notes[-1] - notes[0] <= HAND_SPAN)

    return any(takes(chord[:cut]) and takes(chord[cut:]) for cut in range(len(chord) + 1))


def _strings_take(chord: Sequence[int], strings: Sequence[int], reach: int) -> bool:
    for first in range(len(strings) - len(chord) + 1):
        frets = [p - s for p, s in zip(chord, strings[first : first + len(chord)], strict=True)]
        stopped = [fret for fret in frets if fret]
        if min(frets) >= 0 and (not stopped or max(stopped) - min(stopped) <= reach):
            return True
    return False


def spread(pieces: Sequence[Rows], scale_by: Sequence[Rows]) -> float:
    """Return how different pieces are from one another: the mean distance of two of them.

    A distance is the root mean square difference of the features of whole pieces, each in standard
    deviations (at most three) of ``scale_by``, which is the real music.
    """
    names = sorted({name for rows in scale_by for row in rows for name in row})

    def table(some: Sequence[Rows]) -> NDArray[np.float64]:
        rows = [row for piece in some for row in piece]
        return np.array([[row.get(name, np.nan) for name in names] for row in rows])

    known = table(scale_by)
    middle, deviation = np.nanmedian(known, 0), np.nanstd(known, 0)
    used = deviation > 0
    values = (table(pieces)[:, used] - middle[used]) / deviation[used]
    values = np.clip(np.nan_to_num(values), -MAX_FEATURE_DEVIATIONS, MAX_FEATURE_DEVIATIONS)
    distances = np.sqrt(((values[:, None] - values[None]) ** 2).mean(2))
    return float(distances[np.triu_indices(len(values), 1)].mean())
