"""How like each other two bars are: by the notes that both have, in any transposition.

A note is its place in the bar and its pitch. Source: Yu et al. 2022, "Museformer", who compare
without transposition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

Places = Mapping[int, Sequence[int]]
"""The pitches struck at each place of a bar."""


def by_place(notes: Iterable[tuple[int, int]]) -> dict[int, list[int]]:
    """The notes of a bar, pairs of place and pitch, as :data:`Places`."""
    found: dict[int, list[int]] = {}
    for place, pitch in notes:
        found.setdefault(place, []).append(pitch)
    return found


def note_count(bar: Places) -> int:
    """How many notes a bar has."""
    return sum(map(len, bar.values()))


def common_notes(bar: Places, source: Places) -> Counter[int]:
    """For each move in semitones, how many notes ``bar`` shares with ``source`` moved by it."""
    return Counter(
        pitch - other
        for place, pitches in bar.items()
        for other in source.get(place, ())
        for pitch in pitches
    )


def likeness(bar: Places, source: Places) -> float:
    """The notes in common over all notes of both, 0 to 1, at the move for which that is most."""
    common = max(common_notes(bar, source).values(), default=0)
    return common / max(1, note_count(bar) + note_count(source) - common)
