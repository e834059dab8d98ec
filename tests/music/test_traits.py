"""Traits of whole pieces, counted from music that is made for it."""

from __future__ import annotations

import pytest
from hypothesis import given

from appliance.music.notes import Note
from appliance.music.score import FreeRhythmScore
from appliance.music.traits import Traits, traits_of
from tests.music.codecs.test_free_rhythm import scores

BAR = 1920


def traits(*notes: tuple[int, int, int]) -> Traits:
    ordered = sorted((Note(*note) for note in notes), key=lambda note: (note.start, -note.pitch))
    return traits_of(ordered, 16, 0)


@given(score=scores())
def test_shares_are_between_0_and_1(score: FreeRhythmScore) -> None:
    voices, density, *shares = traits_of(score.notes, score.form.bar_steps, score.form.pickup_steps)
    assert voices >= 1
    assert density > 0
    assert all(0 <= share <= 1 for share in shares)


def test_how_many_sound() -> None:
    found = traits((0, 960, 60), (0, 480, 67), (1440, 480, 60))
    assert found.voices == pytest.approx((960 + 480 + 480) / (960 + 480), abs=0.001)
    assert found.alone == pytest.approx(960 / 1440, abs=0.001)
    assert found.together == pytest.approx(1 / 3, abs=0.001)
    assert found.notes_per_quarter == pytest.approx(3 / 4)


def test_moves_of_the_outer_lines() -> None:
    top = [(n * 480, 480, pitch) for n, pitch in enumerate((72, 72, 74, 79, 77))]
    bass = [(n * 480, 480, pitch) for n, pitch in enumerate((48, 48, 62, 48, 50))]
    found = traits(*top, *bass)
    assert (found.top_repeats, found.top_steps) == (0.25, 0.5)
    assert (found.bass_repeats, found.bass_leaps) == (0.25, 0.5)


def test_a_held_bass_is_not_struck_again() -> None:
    assert traits((0, 1920, 48), (0, 480, 60), (480, 480, 60), (960, 480, 62)).bass_repeats == 0


def test_a_bar_that_comes_back_transposed_returns() -> None:
    theme = [(0, 240, 60), (240, 240, 62), (480, 480, 64), (960, 960, 67)]
    other = [(n * 240, 240, 60 + 5 * n % 7) for n in range(8)]
    again = [(start, length, pitch + 7) for start, length, pitch in theme]
    bars = [theme, other, other, other, again]
    whole = [
        (n * BAR + at, length, pitch) for n, bar in enumerate(bars) for at, length, pitch in bar
    ]
    assert traits(*whole).returns == 1
    assert traits(*whole[: -len(theme)]).returns == 0


def test_a_rhythm_that_goes_on_is_steady() -> None:
    steady = [(n * 240, 240, 60 + n % 5) for n in range(32)]
    assert traits(*steady).steady == 1
    halting = [(n * BAR, BAR, 60) for n in range(2)] + [(BAR + n * 240, 240, 72) for n in range(8)]
    assert traits(*halting).steady == pytest.approx(1 / 8, abs=0.001)
