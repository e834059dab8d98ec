"""The four-part codec: encoding, features, forbidden tokens, cadences."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.music.codecs import counterpoint
from appliance.music.codecs.base import Cadence
from appliance.music.codecs.four_part import CLASSES, END, HOLD, REST, FourPartCodec
from appliance.music.events import TICKS_PER_STEP, Event
from appliance.music.score import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    SILENT,
    VOICE_ORDER,
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
def test_encoding_a_score_loses_nothing(codec: FourPartCodec, score: Score) -> None:
    events = events_of(score, codec)
    pitches, onsets = rows(events, score.steps * TICKS_PER_STEP)
    assert pitches == score.pitches
    if codec.onsets:
        assert onsets == score.onsets
    else:
        assert onsets == onsets_by_change([list(row) for row in score.pitches])


@codecs
@given(score=scores())
def test_encode_gives_features_and_a_token_for_every_place(
    codec: FourPartCodec, score: Score
) -> None:
    features, found = codec.encode(score)
    assert len(features) == len(found) == VOICES * score.steps + (not codec.onsets)
    for ones in features:
        assert len(ones) == len(set(ones)) == (17 if codec.uses_forms else 14)
        assert all(0 <= one < codec.width for one in ones)
    assert all(0 <= token < len(codec.vocabulary) for token in found)


@given(score=scores())
def test_forbidden_tokens_occur_in_scores_only_as_parallels(score: Score) -> None:
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
@given(tokens_drawn=tokens)
def test_any_allowed_tokens_give_well_formed_music(
    codec: FourPartCodec, tokens_drawn: list[int]
) -> None:
    context = codec.start(Form(16, 0, 15), Key(0, False))
    events: list[Event] = []
    for token in tokens_drawn:
        if context.done:
            break
        if token not in context.forbidden():
            assert all(0 <= one < codec.width for one in context.features())
            events += context.accept(token)
    assert is_well_formed(events + context.release_all())
    assert context.release_all() == []


@codecs
@given(before=tokens, after=tokens)
def test_a_copy_changes_independently(
    codec: FourPartCodec, before: list[int], after: list[int]
) -> None:
    context = codec.start(Form(12, 4, 1000), Key(5, True))
    for token in before:
        context.accept(token)
    context.done = False
    was = context.features(), context.tick, context.forbidden(), context.cadence()
    twin, other = context.copy(), context.copy()
    assert [twin.accept(token) for token in after] == [other.accept(token) for token in after]
    assert twin.features() == other.features()
    assert was == (context.features(), context.tick, context.forbidden(), context.cadence())


def test_a_repeated_note_is_not_encoded_as_held() -> None:
    codec = BOTH[0]
    struck = chords((2, (72, 67, 64, 48)), (2, (72, 67, 64, 48)))
    held = chords((4, (72, 67, 64, 48)))
    assert codec.encode(struck)[1].count(HOLD) == 8
    assert codec.encode(held)[1].count(HOLD) == 12


def test_hold_and_end_are_forbidden_before_the_piece_has_begun() -> None:
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


def test_features_count_down_to_the_fermata_and_the_end() -> None:
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
def test_cadence_of_the_last_two_chords(close: tuple[tuple[int, ...], ...], how: Cadence) -> None:
    codec = BOTH[0]
    score = chords(*[(4, chord) for chord in ((72, 67, 64, 48), *close)])
    context = codec.start(score.form, score.key)
    for token in codec.encode(score)[1]:
        context.accept(token)
    assert context.cadence() == how


def test_key_of_takes_the_tonic_from_the_last_bass_and_the_mode_from_the_piece() -> None:
    minor = [[72, 67, 63, 48]] * 8 + [[71, 67, 62, 43]] * 8
    picardy = [*minor, *[[72, 67, 64, 48]] * 8, [SILENT] * 4]
    assert key_of(picardy) == Key(0, True)
    assert str(key_of(picardy)) == "c minor"
    assert key_of([[73, 68, 65, 49]] * 4) == Key(1, False)


@settings(max_examples=30)
@given(score=scores(), up=st.integers(-3, 3))
def test_transposed_moves_notes_and_key_alike(score: Score, up: int) -> None:
    moved = score.transposed(up)
    assert moved.transposed(-up) == score
    assert moved.key == score.key.transposed(up)
    assert moved.onsets == score.onsets


@settings(max_examples=30)
@codecs
@given(score=scores(), data=st.data())
def test_transposition_maps_give_the_encoding_of_the_transposed_score(
    codec: FourPartCodec, score: Score, data: st.DataObject
) -> None:
    semitones = data.draw(st.sampled_from(codec.transpositions(score)))
    inputs, classes = codec.transposition_maps(semitones)
    assert (len(inputs), len(classes)) == (codec.width, len(codec.vocabulary))
    features, encoded = codec.encode(score)
    moved_features, moved_tokens = codec.encode(score.transposed(semitones))
    assert [[inputs[one] for one in ones] for ones in features] == moved_features
    assert [classes[token] for token in encoded] == moved_tokens


@codecs
def test_transposition_maps_clip_at_the_ends_of_the_range(codec: FourPartCodec) -> None:
    for semitones in (-60, -1, 1, 60):
        inputs, classes = codec.transposition_maps(semitones)
        assert min(inputs) >= 0
        assert max(inputs) < codec.width
        assert classes[0 if semitones < 0 else REST - 1] == (0 if semitones < 0 else REST - 1)
        assert classes[REST:] == [REST, HOLD]
