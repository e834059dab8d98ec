"""Parallel fifths, octaves and unisons are found, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.counterpoint import parallels
from appliance.music.score import SILENT

notes = st.integers(36, 81)


@pytest.mark.parametrize(
    ("voice", "other", "wrong"),
    [
        ((67, 69), (60, 62), True),  # fifths
        ((72, 74), (60, 62), True),  # octaves
        ((60, 62), (60, 62), True),  # unisons
        ((79, 81), (60, 62), True),  # twelfths
        ((67, 81), (60, 62), True),  # a fifth, then a twelfth, the same way
        ((67, 62), (60, 67), False),  # against each other
        ((64, 65), (60, 62), False),  # a third, then a third
        ((67, 67), (60, 60), False),  # neither moves
        ((67, 67), (60, 55), False),  # one stays
        ((67, 68), (60, 62), False),  # a fifth, then a diminished one
    ],
)
def test_parallels_are_those_of_the_textbooks(
    voice: tuple[int, int], other: tuple[int, int], wrong: bool
) -> None:
    assert (voice[1] in parallels(voice[0], [other])) == wrong


@given(notes, notes, st.sampled_from([None, SILENT]))
def test_a_silent_voice_forbids_nothing(now: int, after: int, gone: int | None) -> None:
    assert parallels(now, [(gone, after), (after, gone)]) == []


@given(now=notes, others=st.lists(st.tuples(notes, notes), max_size=3))
def test_repeating_a_note_is_always_allowed(now: int, others: list[tuple[int, int]]) -> None:
    assert now not in parallels(now, others)


@given(now=notes, others=st.lists(st.tuples(notes, notes), max_size=3), up=st.integers(-5, 5))
def test_parallels_are_the_same_in_every_key(
    now: int, others: list[tuple[int, int]], up: int
) -> None:
    moved = parallels(now + up, [(a + up, b + up) for a, b in others])
    inner = {pitch for pitch in parallels(now, others) if 20 < pitch < 100}
    assert {pitch + up for pitch in inner} <= {*moved}
