"""The features by which real and composed music are compared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.training.evaluate.page_features import MIN_NOTES, features
from appliance.training.evaluate.pages import (
    GRID,
    Page,
    PageNote,
    excerpts,
    fifths_apart,
    find_key,
    make_page,
    with_shuffled_bars,
)

BAR = 4 * GRID
C_MAJOR = (60, 62, 64, 65, 67, 69, 71, 72)


def scale_page(bars: int = 8, transpose: int = 0) -> Page:
    """A C major scale in quarters over a bass that repeats its note."""
    notes = []
    for beat in range(4 * bars):
        at = beat * GRID
        notes.append(PageNote(at, at + GRID, C_MAJOR[beat % 8] + transpose, 0))
        notes.append(PageNote(at, at + GRID, 48 + transpose, 1))
    return make_page("scale", notes, bar=BAR, beat=GRID)


@st.composite
def pages(draw: st.DrawFn) -> Page:
    count = draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    starts = np.cumsum(rng.integers(1, 4, count)) * GRID // 4
    notes = [
        PageNote(int(at), int(at) + 6 * int(rng.integers(1, 5)), int(rng.integers(40, 85)), 0)
        for at in starts
    ]
    return make_page("random", notes, bar=BAR, beat=GRID)


def test_a_scale_over_a_pedal_is_described_as_what_it_is() -> None:
    found = features(scale_page(), 0, 8 * BAR)

    assert found is not None
    assert found["bass: repeated notes"] == 1
    assert found["melody: steps"] == pytest.approx(28 / 31)
    assert found["rhythm: waits of quarters"] == 1
    assert found["texture: time with two notes sounding"] == 1
    assert found["pitch: foreign to the piece's key"] == 0
    assert found["structure: bar rhythm same as the bar before"] == 1
    assert found["structure: bars heard before note for note"] == 6 / 8


def test_a_whole_piece_has_features_of_form() -> None:
    found = features(scale_page(16), 0, 16 * BAR, whole=True)

    assert found is not None
    assert found["form: bars"] == 16
    assert found["form: bar note for note as 2 before"] == 1
    assert found["form: the opening comes back after the middle"] == 1


@given(page=pages(), semitones=st.integers(-12, 12))
def test_transposition_changes_only_features_of_absolute_pitch(page: Page, semitones: int) -> None:
    moved = make_page(
        "moved",
        [note._replace(pitch=note.pitch + semitones) for note in page.notes],
        bar=page.bar,
        beat=page.beat,
    )

    before, after = features(page, 0, page.end), features(moved, 0, moved.end)

    assert before is not None
    assert after is not None
    rhythm = [name for name in before if name.startswith(("rhythm", "texture: time"))]
    assert {n: after[n] for n in rhythm} == {n: before[n] for n in rhythm}
    assert after["melody: mean size of a move"] == before["melody: mean size of a move"]
    assert after["texture: lowest note"] == before["texture: lowest note"] + semitones


@given(page=pages())
def test_features_are_finite_and_shares_lie_between_0_and_1(page: Page) -> None:
    found = features(page, 0, page.end, whole=True)

    assert found is not None
    assert all(np.isfinite(value) for value in found.values())
    assert all(
        0 <= found[n] <= 1 for n in found if n.startswith(("texture: time", "harmony: beats"))
    )


def test_an_excerpt_with_too_few_notes_has_no_features() -> None:
    assert features(scale_page(), 0, (MIN_NOTES // 2 - 1) * GRID) is None


@given(page=pages(), seed=st.integers(0, 99))
def test_shuffled_bars_hold_the_same_notes_and_the_last_bar_stays(page: Page, seed: int) -> None:
    shuffled = with_shuffled_bars(page, np.random.default_rng(seed))

    assert sorted(n.pitch for n in shuffled.notes) == sorted(n.pitch for n in page.notes)
    last = (page.bar_count - 1) * page.bar
    assert {n for n in page.notes if n.start >= last} <= set(shuffled.notes)


@given(tonic=st.integers(0, 11))
def test_the_key_of_a_scale_is_found_on_every_tonic(tonic: int) -> None:
    page = scale_page(transpose=tonic)

    assert (page.key.tonic, page.key.minor) == (tonic, False)
    assert fifths_apart(page.key, find_key(scale_page().notes)) == min(
        tonic * 7 % 12, 12 - tonic * 7 % 12
    )


def test_excerpts_cover_a_piece_and_leave_out_a_short_rest() -> None:
    assert list(excerpts(scale_page(20), 8)) == [(0, 8 * BAR), (8 * BAR, 16 * BAR)]
    assert list(excerpts(scale_page(23), 8))[-1] == (16 * BAR, 23 * BAR)


def test_a_page_without_notes_is_refused() -> None:
    with pytest.raises(ValueError, match="no notes"):
        make_page("empty", [], bar=BAR, beat=GRID)
