"""Chords by their kind and root."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.chords import KINDS, UNNAMED, completed_chords

C, D, E, F, G, B = 0, 2, 4, 5, 7, 11
MAJOR, MINOR, DIMINISHED, DOMINANT_SEVENTH = 1, 2, 3, 4


@pytest.mark.parametrize(
    ("notes", "added", "kind", "root"),
    [
        ({C, E}, G, MAJOR, C),
        ({G, B}, D, MAJOR, G),
        ({D, F}, 9, MINOR, D),
        ({B, D}, F, DIMINISHED, B),
        ({G, B, D}, F, DOMINANT_SEVENTH, G),
        ({C, D}, E, 0, UNNAMED),
    ],
)
def test_chord_has_its_kind_and_root(notes: set[int], added: int, kind: int, root: int) -> None:
    chords = completed_chords(frozenset(notes))
    assert (chords.kinds[added], chords.roots[added]) == (kind, root)


@given(st.frozensets(st.integers(0, 11), min_size=1), st.integers(0, 11))
def test_transposed_chord_is_of_the_same_kind(notes: frozenset[int], up: int) -> None:
    """A diminished seventh has no root of its own: any of its notes will do."""
    here = completed_chords(notes)
    there = completed_chords(frozenset((note + up) % 12 for note in notes))
    for added in range(12):
        kind, root = here.kinds[added], here.roots[added]
        assert 0 <= kind < KINDS
        assert there.kinds[(added + up) % 12] == kind
        assert (root == UNNAMED) == (kind == 0)
        assert root == UNNAMED or root in notes | {added}
