"""The conditioning of a model of music in free rhythm: the option ``conditioning``."""

from __future__ import annotations

import dataclasses
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.codecs.free_rhythm_tokens import (
    BARS_BACK,
    BUCKETS,
    CONDITIONING_KINDS,
    CONDITIONING_PROGRAMS,
    TO_END_STEPS,
    TRAIT_BUCKETS,
)
from appliance.music.kinds import KINDS
from appliance.music.notes import Note
from appliance.music.score import Form, FreeRhythmScore, Key, PieceFacts
from appliance.music.traits import Traits, traits_of
from tests.music.codecs.test_free_rhythm import CODEC, LENGTHS, score_of, scores

CONDITIONED = FreeRhythmCodec(lowest=36, highest=88, lengths=LENGTHS, conditioning=True)
WIDE = FreeRhythmCodec(lowest=0, highest=127, lengths=LENGTHS, conditioning=True)
TRAITS = traits_of([Note(0, 480, 60), Note(480, 480, 62)], 16, 0)


def inputs_of(ones: list[int], part: str) -> set[int]:
    """The ones in a part of the input, counted from its beginning."""
    indices = CONDITIONED.inputs.indices(part)
    return {one - indices.start for one in ones if one in indices}


def predictions(score: FreeRhythmScore, bars: int) -> list[int | None]:
    """What stood at the same place ``bars`` ago, as the model knows it before every token."""
    row, length = BARS_BACK.index(bars), CONDITIONED.classes + 1
    found: list[int | None] = []
    for ones in CONDITIONED.encode(score)[0]:
        (token,) = (one % length for one in inputs_of(ones, "bars_back") if one // length == row)
        found.append(None if token == CONDITIONED.classes else token)
    return found


@given(score=scores())
def test_more_inputs_change_neither_the_tokens_nor_the_other_inputs(score: FreeRhythmScore) -> None:
    features, tokens = CONDITIONED.encode(score)
    plain_features, plain_tokens = CODEC.encode(score)
    assert tokens == plain_tokens
    for ones, plain in zip(features, plain_features, strict=True):
        assert len(ones) == len({*ones})
        assert all(0 <= one < CONDITIONED.width for one in ones)
        assert sorted(one for one in ones if one < CODEC.width) == sorted(plain)


@given(score=scores(), semitones=st.integers(-5, 6))
def test_transposition_maps_give_the_encoding_of_the_transposed_score(
    score: FreeRhythmScore, semitones: int
) -> None:
    inputs, _ = WIDE.transposition_maps(semitones)
    features, moved = WIDE.encode(score)[0], WIDE.encode(score.transposed(semitones))[0]
    assert [{inputs[one] for one in ones} for ones in features] == [*map(set, moved)]


@pytest.mark.parametrize("bars", BARS_BACK)
def test_what_stood_here_bars_ago_is_told_as_a_token(bars: int) -> None:
    bar = [(0, 240, 72), (0, 480, 48), (240, 240, 74), (480, 480, 76), (960, 960, 67)]
    whole = [(at + n * 1920, length, pitch) for n in range(bars + 2) for at, length, pitch in bar]
    score = score_of(*whole)
    tokens, predicted = CONDITIONED.encode(score)[1], predictions(score, bars)
    per_bar = CONDITIONED.tokens_per_group * len(bar)
    # The wait into a bar belongs to the place in the bar before.
    assert predicted[: bars * per_bar + 1] == [None] * (bars * per_bar + 1)
    assert predicted[bars * per_bar + 1 : -1] == tokens[bars * per_bar + 1 : -1]


def test_kind_and_traits_of_the_form_are_inputs() -> None:
    facts = PieceFacts(kind="fugue", program=40, traits=TRAITS)
    ones = CONDITIONED.start(Form(16, 0, 64, facts=facts), Key(0, False)).features()
    assert inputs_of(ones, "kind") == {CONDITIONING_KINDS.index("fugue")}
    assert inputs_of(ones, "instrument") == {CONDITIONING_PROGRAMS.index(40)}
    rows = {one // BUCKETS for one in inputs_of(ones, "traits")}
    assert rows == {*range(len(TRAIT_BUCKETS))}


def test_the_way_to_the_double_bar_is_told_until_it_is_reached() -> None:
    form = Form(16, 0, 32, facts=PieceFacts(double_bar_step=16))
    score = dataclasses.replace(score_of(*[(n * 480, 480, 60 + n) for n in range(8)]), form=form)
    waits = CONDITIONED.encode(score)[0][3::3]
    # The wait for a note is an input at the note before it.
    assert [len(inputs_of(ones, "to_double_bar")) for ones in waits] == [1] * 4 + [0] * 4
    assert inputs_of(waits[0], "to_double_bar") == {bisect_right(TO_END_STEPS, 16)}


@pytest.mark.parametrize("facts", [PieceFacts(), PieceFacts(kind="reel", program=110)])
def test_what_is_unknown_is_no_input(facts: PieceFacts) -> None:
    ones = CONDITIONED.start(Form(16, 0, 64, facts=facts), Key(0, False)).features()
    for part in ("kind", "instrument", "traits", "to_double_bar"):
        assert inputs_of(ones, part) == set()


def test_every_trait_has_buckets_and_every_kind_is_one() -> None:
    assert tuple(TRAIT_BUCKETS) == Traits._fields
    for ends in TRAIT_BUCKETS.values():
        assert list(ends) == sorted({*ends})
        assert len(ends) == BUCKETS - 1
    assert {*CONDITIONING_KINDS} <= {*KINDS}


def test_degrees_are_those_over_the_tonic() -> None:
    score = score_of((0, 480, 62), (480, 480, 66), (960, 480, 69), key=Key(2, False))
    before_end = CONDITIONED.encode(score)[0][-1]
    assert inputs_of(before_end, "past_degree") == {4, 13 + 0, 26 + 12}
    assert inputs_of(before_end, "sounding_degree") == {7}
    assert inputs_of(before_end, "bass_degree") == {7}


def test_optional_inputs_are_those_that_may_be_unknown() -> None:
    assert CODEC.optional_inputs == ()
    hidden = {one for group in CONDITIONED.optional_inputs for one in group}
    parts = ("kind", "instrument", "traits", "from_start", "to_double_bar", "bars_back", "match")
    for part in parts:
        assert {*CONDITIONED.inputs.indices(part)} <= hidden
    for part in ("place", "bar", "past_pitch", "sounding", "end"):
        assert not {*CONDITIONED.inputs.indices(part)} & hidden


def test_the_options_make_the_same_codec_again() -> None:
    for codec in (CODEC, CONDITIONED):
        again = FreeRhythmCodec(**codec.options)
        assert (again.width, again.conditioning) == (codec.width, codec.conditioning)


def test_a_copy_remembers_on_its_own() -> None:
    context = CONDITIONED.start(Form(16, 0, 64), Key(0, False))
    tokens = CONDITIONED.encode(score_of((0, 480, 60), (480, 480, 62), (960, 480, 64)))[1]
    for token in tokens[:3]:
        context.accept(token)
    twin = context.copy()
    for token in tokens[3:6]:
        twin.accept(token)
    assert (context.notes.next_tick(0), twin.notes.next_tick(0)) == (None, 480)
