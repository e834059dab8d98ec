"""The map of returns that is found in a piece."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.free_rhythm_conversion import score_from_notes
from appliance.music.notes import Note
from appliance.music.returns import Entry, Return, sources
from appliance.training.data.return_map import (
    TUNE_LIKENESS,
    Bar,
    entries_of,
    find_returns,
    returns_of,
)

A, B, D = ((0, 60), (240, 64), (480, 67)), ((0, 72), (120, 71), (960, 69)), ((0, 50), (60, 90))


def bars(*contents: tuple[tuple[int, int], ...], move: int = 0) -> list[Bar]:
    return [frozenset((place, pitch + move) for place, pitch in bar) for bar in contents]


def test_bars_that_return_together_are_one_passage() -> None:
    piece = [*bars(A, B), *bars(D), *bars(A, B, move=5)]
    assert find_returns(piece, 16) == (Return(3, 0, 2, 5),)


def test_a_passage_that_is_moved_less_is_preferred() -> None:
    piece = [*bars(A), *bars(A, move=7), *bars(D), *bars(A, move=7)]
    assert Return(3, 1, 1, 0) in find_returns(piece, 16)


def test_what_is_near_by_does_not_return_for_long() -> None:
    found = find_returns(bars(*[A] * 12), 16)
    assert all(r.bars <= 2 or r.bar - r.source_bar > 2 for r in found)


any_bars = st.lists(
    st.frozensets(st.tuples(st.sampled_from([0, 240, 480]), st.integers(60, 64)), max_size=5),
    max_size=14,
)


@given(any_bars)
def test_every_bar_is_planned_once_and_from_an_earlier_one(piece: list[Bar]) -> None:
    for found in (find_returns(piece, 16), find_returns(piece, 16, TUNE_LIKENESS)):
        assert len(sources(found, 99)) == sum(r.bars for r in found)
        assert all(
            0 <= source < bar < len(piece) for bar, (source, _) in sources(found, 99).items()
        )


def test_bars_of_a_tune_that_are_half_alike_return_by_themselves() -> None:
    """A bar with the notes of an earlier one is planned, one that shares most of them is not."""
    changed = (*A[:-1], (A[-1][0], 90))
    piece = bars(A, B, D, A, changed)
    assert find_returns(piece, 16, TUNE_LIKENESS) == (Return(3, 0, 1, 0),)
    assert [found.bar for found in find_returns(piece, 16)] == [3, 4]


def test_entries_of_the_opening() -> None:
    """The second voice has the subject a fifth lower, with one note a step off."""
    subject = (72, 74, 76, 77, 79, 77, 76, 74)
    notes = [Note(240 * n, 240, pitch) for n, pitch in enumerate(subject)]
    answer = [Note(1920 + 240 * n, 240, pitch - 7) for n, pitch in enumerate(subject)]
    answer[4] = answer[4]._replace(pitch=answer[4].pitch + 2)
    upper = [Note(1920, 1920, 84)]
    score = score_from_notes("made", [*notes, *answer, *upper], (16, 4), 0)
    assert entries_of(score) == (Entry(16, -7, 8, lower=True),)


def test_the_map_of_a_score() -> None:
    notes = [
        Note(bar * 1920 + place, 240, pitch + move)
        for bar, (content, move) in enumerate(((A, 0), (B, 0), (D, 0), (A, 2)))
        for place, pitch in content
    ]
    assert returns_of(score_from_notes("made", notes, (16, 4), 0)) == (Return(3, 0, 1, 2),)
