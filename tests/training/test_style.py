"""Features of a piece and their distance from a corpus, on music that can be counted by hand."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.events import TICKS_PER_BEAT
from appliance.music.notes import Note
from appliance.music.score import Form, Key
from appliance.training.evaluate import style_distance, style_features
from appliance.training.evaluate.style_distance import (
    StyleGrader,
    rank_distance,
    wasserstein,
)
from appliance.training.evaluate.style_features import Histogram
from tests.support.finished_pieces import line, piece_from, piece_of
from tests.support.making_music import OPENING, chords

# Features


def test_the_key_is_estimated_from_the_notes() -> None:
    cadence = chords((4, (72, 67, 64, 48)), (4, (72, 69, 65, 53)), (4, (71, 67, 62, 55)))
    for shift in (0, 3, 7):
        assert style_features.estimate_key(piece_from(cadence.transposed(shift))) == Key(
            shift, False
        )


def test_parallels_are_counted_in_similar_motion_only() -> None:
    fifths = piece_of(line(67, 69, 71), [], [], line(48, 50, 52, voice=3))
    assert style_features.parallels(fifths) == Counter(fifths=2, octaves=0)
    octaves = piece_of(line(72, 74), line(60, 62, voice=1), line(52, 50, voice=2))
    assert style_features.parallels(octaves) == Counter(fifths=0, octaves=1)
    oblique = piece_of(line(67, 67), line(60, 60, voice=1))
    contrary = piece_of(line(67, 65), line(48, 58, voice=3))
    late = piece_of(line(67, 69), [Note(0, 240, 60, 1), Note(240, 240, 62, 1)])
    for piece in (oblique, contrary, late):
        assert not style_features.parallels(piece).total()


def test_parallels_after_a_fermata_do_not_count() -> None:
    phrase = Form(16, 0, 64, ((0, 4),))
    over = piece_of(line(67, 69), line(60, 62, voice=1), form=phrase)
    assert not style_features.parallels(over).total()


@pytest.mark.parametrize(
    ("pitches", "kind"),
    [
        ((48, 64, 67, 72), "major"),
        ((52, 60, 67, 72), "major"),
        ((45, 60, 64, 69), "minor"),
        ((43, 59, 62, 65), "dominant seventh"),
        ((47, 62, 65, 68), "diminished seventh"),
        ((48, 49, 50, 51), "other"),
        ((60,), "unison"),
    ],
)
def test_chord_kinds(pitches: tuple[int, ...], kind: str) -> None:
    assert style_features.chord_kind(pitches) == kind


def test_intervals_do_not_cross_rests() -> None:
    voice = [Note(0, 480, 60, 0), Note(480, 480, 64, 0), Note(1440, 480, 62, 0)]
    assert style_features.intervals(voice) == Counter({4: 1})
    assert style_features.rests(piece_of(voice)) == [480]


def test_repeats_have_two_notes_or_more_and_no_longer_repeat_around_them() -> None:
    a, b, c, d = ("a", 4), ("b", 4), ("c", 4), ("d", 4)
    assert not style_features.repeated_lengths([a, b, c, d])
    assert not style_features.repeated_lengths([a, b, a, c, a, d])
    # "a b c" twice; "a b" and "b c" stand only within it.
    assert style_features.repeated_lengths([a, b, c, d, a, b, c]) == Counter({12: 2})
    # "a b" three times, and twice as part of "a b c".
    assert style_features.repeated_lengths([a, b, c, a, b, d, a, b, c]) == Counter({12: 2, 8: 3})
    # The last note of a sequence may go on in one place and not in another.
    assert style_features.repeated_lengths([a, ("b", 8), c, a, b]) == Counter({8: 2})


def test_free_rhythm_features_use_the_top_line() -> None:
    piece = piece_of(line(72, 74, 76, 74, 72, 74), [Note(0, 6 * TICKS_PER_BEAT, 48, 1)])
    found = style_features.free_rhythm_features(piece)
    assert found["melody"] == Counter({2: 3, -2: 2})
    assert found["onsets"] == Counter({TICKS_PER_BEAT: 5})
    assert found["rhythm"] == Counter({TICKS_PER_BEAT: 6, 6 * TICKS_PER_BEAT: 1})
    assert found["harmony"] == Counter({"unison": 2, "whole tone": 3, "major third": 1})
    assert found["repeats"] == style_features.Histogram()
    tune = line(72, 74, 76, 77, 60, 72, 74, 76, 77)
    assert style_features.free_rhythm_features(piece_of(tune))["repeats"] == Counter({2: 2})


# Distances


def test_the_distance_of_a_corpus_from_itself_is_zero() -> None:
    pieces = [piece_from(OPENING)]
    grader = StyleGrader(style_features.four_part_features, pieces)
    assert style_distance.grade(grader.distances(pieces[0])) == 0


def test_the_distance_ignores_the_key_but_not_the_notes() -> None:
    piece = piece_from(OPENING)
    grader = StyleGrader(style_features.four_part_features, [piece])
    moved = piece_from(OPENING.transposed(2))
    assert style_distance.grade(grader.distances(moved)) == pytest.approx(0)
    other = piece_from(chords((8, (72, 67, 64, 48)), (8, (71, 67, 62, 43))))
    assert style_distance.grade(grader.distances(other)) > 1


def test_the_rank_distance_orders_entries_by_frequency() -> None:
    known: Histogram = Counter({"often": 6, "less": 3, "rarely": 1})
    assert rank_distance(Counter({"often": 12, "less": 6, "rarely": 2}), known) == pytest.approx(0)
    # All of it one place, or two places, from where six tenths of the corpus are.
    assert rank_distance(Counter({"less": 1}), known) == pytest.approx(0.6 + 0.1)
    assert rank_distance(Counter({"rarely": 1}), known) == pytest.approx(2 * 0.6 + 0.3)
    # What the corpus does not know comes after everything else.
    assert rank_distance(Counter({"never": 1}), known) == pytest.approx(3 * 0.6 + 2 * 0.3 + 0.1)
    assert rank_distance(Counter(), known) == rank_distance(Counter({"never": 1}), known)


def test_the_distance_of_parallels_is_weighted_by_their_frequency() -> None:
    one_fifth = piece_of(line(67, 69, 68, 69), line(60, 62, 62, 64, voice=1))
    corpus = [one_fifth, piece_of(line(72, 74, 73, 74), line(60, 62, 62, 64, voice=1))]
    grader = StyleGrader(lambda piece: {"parallels": style_features.parallels(piece)}, corpus)
    bad = piece_of(line(67, 69, 71, 72), line(60, 62, 64, 65, voice=1))
    clean = piece_of(line(67, 69), line(60, 59, voice=1))
    assert grader.distances(clean) == {"parallels": 0}
    # Three fifths where the corpus has one parallel in eight notes, half of them octaves.
    assert grader.distances(bad)["parallels"] == pytest.approx(0.5 * (3 / 8) / (2 / 16))


histogram = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any)


@given(histogram, histogram, histogram)
def test_the_wasserstein_distance_is_a_metric(a: list[int], b: list[int], c: list[int]) -> None:
    assert wasserstein(a, a) == pytest.approx(0)
    assert wasserstein(a, b) == pytest.approx(wasserstein(b, a))
    assert wasserstein(a, c) <= wasserstein(a, b) + wasserstein(b, c) + 1e-9
    assert wasserstein(a, b) == pytest.approx(wasserstein([2 * x for x in a], b))
