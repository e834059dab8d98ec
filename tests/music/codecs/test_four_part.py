"""What the codec writes down can be read back, and what it tells the model is in order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.music.codecs import counterpoint
from appliance.music.codecs.base import Cadence
from appliance.music.codecs.four_part import CLASSES, END, HOLD, REST, VOICE_ORDER, FourPartCodec
from appliance.music.events import TICKS_PER_STEP, Event
from appliance.music.score import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    SILENT,
    VOICES,
    Form,
    Key,
    Score,
    key_of,
    onsets_by_change,
)
from tests.support.making_music import chords, events_of, is_well_formed, rows, scores

BOTH = [FourPartCodec(onsets=True, form=True), FourPartCodec(onsets=False, form=False)]
codecs = pytest.mark.parametrize("codec", BOTH, ids=["with onsets and form", "plain"])
tokens = st.lists(st.integers(0, CLASSES - 1), max_size=80)


@codecs
@given(score=scores())
def test_a_score_comes_back_from_its_tokens(codec: FourPartCodec, score: Score) -> None:
    events = events_of(score, codec)
    pitches, onsets = rows(events, score.steps * TICKS_PER_STEP)
    assert pitches == score.pitches
    if codec.onsets:
        assert onsets == score.onsets
    else:
        assert onsets == onsets_by_change([list(row) for row in score.pitches])


@codecs
@given(score=scores())
def test_every_place_has_its_features_and_its_token(codec: FourPartCodec, score: Score) -> None:
    features, found = codec.encode(score)
    assert len(features) == len(found) == VOICES * score.steps + (not codec.onsets)
    for ones in features:
        assert len(ones) == len(set(ones)) == (17 if codec.uses_forms else 14)
        assert all(0 <= one < codec.width for one in ones)
    assert all(0 <= token < len(codec.vocabulary) for token in found)


@given(score=scores())
def test_a_score_needs_no_forbidden_token_but_in_parallels(score: Score) -> None:
    for codec in BOTH:
        context = codec.start(score.form._replace(steps=score.steps), score.key)
        for at, token in enumerate(codec.encode(score)[1]):
            step, place = divmod(at, VOICES)
            if token in context.forbidden():
                assert step
                before, row = score.pitches[step - 1], score.pitches[step]
                others = [(before[voice], row[voice]) for voice in VOICE_ORDER[:place]]
                voice = VOICE_ORDER[place]
                assert row[voice] in counterpoint.parallels(before[voice], others)
            context.accept(token)
        assert context.done


@codecs
@given(said=tokens)
def test_whatever_is_said_the_music_is_well_formed(codec: FourPartCodec, said: list[int]) -> None:
    context = codec.start(Form(16, 0, 15), Key(0, False))
    events: list[Event] = []
    for token in said:
        if context.done:
            break
        if token not in context.forbidden():
            assert all(0 <= one < codec.width for one in context.features())
            events += context.accept(token)
    assert is_well_formed(events + context.release_all())
    assert context.release_all() == []


@codecs
@given(before=tokens, after=tokens)
def test_a_copy_goes_its_own_way(codec: FourPartCodec, before: list[int], after: list[int]) -> None:
    context = codec.start(Form(12, 4, 1000), Key(5, True))
    for token in before:
        context.accept(token)
    context.done = False
    was = context.features(), context.tick, context.forbidden(), context.cadence()
    twin, other = context.copy(), context.copy()
    assert [twin.accept(token) for token in after] == [other.accept(token) for token in after]
    assert twin.features() == other.features()
    assert was == (context.features(), context.tick, context.forbidden(), context.cadence())


def test_a_repeated_note_is_not_a_held_one() -> None:
    codec = BOTH[0]
    struck = chords((2, (72, 67, 64, 48)), (2, (72, 67, 64, 48)))
    held = chords((4, (72, 67, 64, 48)))
    assert codec.encode(struck)[1].count(HOLD) == 8
    assert codec.encode(held)[1].count(HOLD) == 12


def test_nothing_can_be_held_before_it_has_begun_and_no_piece_ends_before_it_has_begun() -> None:
    onsets, plain = (codec.start(Form(16, 0, 8), Key(0, False)) for codec in BOTH)
    for place in range(VOICES):
        assert onsets.forbidden() == [HOLD], place
        assert plain.forbidden() == [END], place
        onsets.accept(30)
        plain.accept(30)
    assert onsets.forbidden() == []
    assert plain.forbidden() == []
    plain.accept(REST)
    assert plain.forbidden() == [END]


def test_a_piece_does_not_begin_with_silence() -> None:
    for codec in BOTH:
        context = codec.start(Form(16, 0, 8), Key(0, False))
        for _ in range(VOICES - 1):
            assert REST not in context.forbidden()
            context.accept(REST)
        assert REST in context.forbidden()


@given(steps=st.integers(1, 30), pickup=st.integers(0, 15))
def test_a_piece_is_as_long_as_its_form(steps: int, pickup: int) -> None:
    context = BOTH[0].start(Form(16, pickup, steps), Key(0, False))
    count = 0
    while not context.done:
        context.accept(30)
        count += 1
    assert count == VOICES * steps
    assert context.tick == steps * TICKS_PER_STEP


def test_a_fermata_and_the_end_come_nearer() -> None:
    context = BOTH[0].start(Form(16, 0, 40, ((16, 20), (36, 40))), Key(0, False))
    seen = []
    for _ in range(40):
        seen.append(tuple(context.features()[-2:]))
        for _ in VOICE_ORDER:
            context.accept(REST)
    inside = seen[16][0]
    assert [f == inside for f, _ in seen] == [16 <= t < 20 or t >= 36 for t in range(40)]
    assert [f for f, _ in seen[:16]] == sorted((f for f, _ in seen[:16]), reverse=True)
    assert [e for _, e in seen] == sorted((e for _, e in seen), reverse=True)


def test_every_class_has_a_name() -> None:
    for codec, last in zip(BOTH, ("hold", "end"), strict=True):
        assert len(codec.vocabulary) == len(set(codec.vocabulary)) == CLASSES
        assert codec.vocabulary[0] == "C2"
        assert codec.vocabulary[60 - LOWEST_PITCH] == "C4"
        assert codec.vocabulary[HIGHEST_PITCH - LOWEST_PITCH] == "A5"
        assert codec.vocabulary[-2:] == ["rest", last]


@pytest.mark.parametrize(
    ("close", "how"),
    [
        (((71, 67, 62, 43), (72, 67, 64, 48)), Cadence.FULL),  # V I
        (((72, 69, 65, 41), (72, 67, 64, 48)), Cadence.FULL),  # IV I
        (((71, 67, 62, 43), (72, 67, 63, 48)), Cadence.FULL),  # a minor third is home too
        (((72, 69, 64, 45), (72, 67, 64, 48)), Cadence.TONIC),  # VI I
        (((71, 67, 62, 43), (72, 69, 64, 45)), Cadence.OPEN),  # V VI
        (((72, 67, 64, 48), (71, 67, 62, 43)), Cadence.OPEN),  # I V
        (((71, 67, 62, 43), (72, 67, 64, 52)), Cadence.OPEN),  # a sixth chord is no rest
        (((71, 67, 62, 43), (72, 66, 64, 48)), Cadence.OPEN),  # nor is a dissonance
        (((71, 67, 62, 43), (SILENT,) * 4), Cadence.OPEN),
    ],
)
def test_a_cadence_leads_home(close: tuple[tuple[int, ...], ...], how: Cadence) -> None:
    codec = BOTH[0]
    score = chords(*[(4, chord) for chord in ((72, 67, 64, 48), *close)])
    context = codec.start(score.form, score.key)
    for token in codec.encode(score)[1]:
        context.accept(token)
    assert context.cadence() == how


def test_the_key_is_that_of_the_last_bass_with_the_mode_of_the_piece() -> None:
    minor = [[72, 67, 63, 48]] * 8 + [[71, 67, 62, 43]] * 8
    picardy = [*minor, *[[72, 67, 64, 48]] * 8, [SILENT] * 4]
    assert key_of(picardy) == Key(0, True)
    assert str(key_of(picardy)) == "c minor"
    assert key_of([[73, 68, 65, 49]] * 4) == Key(1, False)


@settings(max_examples=30)
@given(score=scores(), up=st.integers(-3, 3))
def test_transposing_moves_notes_and_key_alike(score: Score, up: int) -> None:
    moved = score.transposed(up)
    assert moved.transposed(-up) == score
    assert moved.key == score.key.transposed(up)
    assert moved.onsets == score.onsets


@settings(max_examples=30)
@codecs
@given(score=scores(), data=st.data())
def test_a_moved_piece_is_heard_and_answered_where_the_codec_says(
    codec: FourPartCodec, score: Score, data: st.DataObject
) -> None:
    semitones = data.draw(st.sampled_from(codec.transpositions(score)))
    inputs, classes = codec.transposition_maps(semitones)
    assert (len(inputs), len(classes)) == (codec.width, len(codec.vocabulary))
    features, said = codec.encode(score)
    moved_features, moved_said = codec.encode(score.transposed(semitones))
    assert [[inputs[one] for one in ones] for ones in features] == moved_features
    assert [classes[token] for token in said] == moved_said


@codecs
def test_what_leaves_the_range_stays_on_its_last_note(codec: FourPartCodec) -> None:
    for semitones in (-60, -1, 1, 60):
        inputs, classes = codec.transposition_maps(semitones)
        assert min(inputs) >= 0
        assert max(inputs) < codec.width
        assert classes[0 if semitones < 0 else REST - 1] == (0 if semitones < 0 else REST - 1)
        assert classes[REST:] == [REST, HOLD]
