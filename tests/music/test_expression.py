"""The rules of expressive performance, and their scaling down to nothing at expression 0."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.music import expression
from appliance.music.events import (
    PLAIN_VELOCITY,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    TempoFactor,
)
from appliance.music.expression import (
    MAX_EARLY_RELEASE_TICKS,
    RESTING_PERMILLE,
    Performance,
    Position,
    apply_expression,
    early_release_ticks,
    position_of,
    tempo_factor_permille,
    velocity,
)
from appliance.music.score import Form, PieceFacts

CHORALE = Form(16, 4, 132, ((28, 32), (60, 64), (92, 96), (124, 132)))
"""Four phrases of two bars, with a pickup; the last chord is two beats long."""
TUNE = Form(12, 0, 96)
"""Eight bars in triple time without fermatas."""


def at(step: int, form: Form = CHORALE) -> Position:
    return position_of(form, step * TICKS_PER_STEP)


def test_position_of_is_in_ticks() -> None:
    assert at(0) == Position(1440, 1920, 480, 0, 28 * 120, resting=False, left_ticks=124 * 120)
    assert at(36) == Position(0, 1920, 480, 4 * 120, 28 * 120, resting=False, left_ticks=88 * 120)
    assert at(60).resting
    assert not at(64).resting
    assert at(124) == Position(960, 1920, 480, 28 * 120, 28 * 120, resting=True, left_ticks=0)


def phrase_starts(struck: list[tuple[int, int]], pitches: list[int] | None = None) -> list[int]:
    """The steps at which a phrase begins, of notes with these starts and lengths in steps."""
    reading, found = Performance(TUNE._replace(steps=960)), []
    for n, (start, length) in enumerate(struck):
        pitch = pitches[n] if pitches else 60
        tick, end = start * TICKS_PER_STEP, (start + length) * TICKS_PER_STEP
        reading.play([NoteOn(tick, 0, pitch, 80)])
        if reading.phrase_tick == tick:
            found.append(start)
        reading.play([NoteOff(end, 0, pitch)])
    return found


def test_without_fermatas_a_phrase_begins_after_a_long_note_a_rest_or_a_cadence() -> None:
    steady = [(step, 2) for step in range(0, 400, 2)]
    assert phrase_starts(steady) == [0], "not by the clock"
    assert phrase_starts([(0, 2), (2, 2), (4, 12), (16, 2), (18, 2)]) == [0, 16]
    assert phrase_starts([(0, 2), (2, 2), (6, 2), (8, 2)]) == [0, 6]
    quarter_after_a_leap = [(0, 2), (2, 2), (4, 4), (8, 2)]
    assert phrase_starts(quarter_after_a_leap, [62, 55, 48, 60]) == [0, 8]
    assert phrase_starts(quarter_after_a_leap, [62, 55, 57, 60]) == [0]


def test_an_open_phrase_rises_and_stays_until_it_leads_to_the_double_bar_or_the_end() -> None:
    form = Form(16, 0, 640, facts=PieceFacts(double_bar_step=320))
    paces = [tempo_factor_permille(at(step, form)) for step in range(640)]
    assert max(paces) == max(paces[:64])
    assert len({*paces[64:300]}) == 1
    assert paces[319] < paces[300] > paces[632]


def test_tempo_and_velocity_rise_to_the_peak_of_a_phrase_and_fall_to_its_end() -> None:
    quantities: list[Callable[[Position], int]] = [
        tempo_factor_permille,
        # On the same place of every bar, so that no accent is in between.
        lambda place: velocity(place._replace(in_bar_ticks=0), 0, 4, 60),
    ]
    for of in quantities:
        curve = [of(at(step)) for step in range(32, 60)]
        top = curve.index(max(curve))
        assert 10 <= top <= 20
        assert curve[: top + 1] == sorted(curve[: top + 1])
        assert curve[top:] == sorted(curve[top:], reverse=True)
        assert curve[-1] < curve[0] < curve[top]


def test_the_mean_tempo_of_a_phrase_is_the_tempo_that_was_set() -> None:
    paces = [tempo_factor_permille(at(step)) for step in range(32, 60)]
    assert sum(1000 / pace for pace in paces) / len(paces) == pytest.approx(1, abs=0.02)


def test_strong_beats_are_louder_than_weak_ones() -> None:
    def loudness(step: int) -> int:
        middle = at(step)._replace(in_phrase_ticks=1920, phrase_ticks=3840)
        return velocity(middle, 0, 4, 60)

    downbeat, beat, third_beat, off = (loudness(36 + steps) for steps in (0, 4, 8, 2))
    assert downbeat > third_beat > beat > off


@pytest.mark.parametrize("voices", [2, 3, 4, 6])
def test_melody_and_bass_are_louder_than_inner_voices(voices: int) -> None:
    weights = [velocity(at(40), voice, voices, 60) for voice in range(voices)]
    assert weights[0] == max(weights)
    assert all(weights[-1] > inner for inner in weights[1:-1])


def test_without_voices_higher_notes_are_louder() -> None:
    pitches = [velocity(at(40), 0, 1, pitch) for pitch in range(36, 97)]
    assert pitches == sorted(pitches)
    assert 10 < pitches[-1] - pitches[0] <= 20
    assert velocity(at(40), 5, 1, 60) == velocity(at(40), 0, 1, 60), "whatever voice it is given"


def test_a_fermata_is_slow_and_followed_by_a_breath() -> None:
    assert [tempo_factor_permille(at(step)) for step in range(60, 64)] == [RESTING_PERMILLE] * 4
    assert tempo_factor_permille(at(59)) > RESTING_PERMILLE < tempo_factor_permille(at(64))
    reading, rest = Performance(CHORALE, 10_000, 4), 60 * TICKS_PER_STEP
    reading.play([NoteOn(rest, 0, 60, 80)])
    [off, _] = reading.play([NoteOff(rest + 480, 0, 60), NoteOn(rest + 480, 0, 62, 80)])
    assert isinstance(off, NoteOff)
    assert off.tick == 10_000 + rest + 480
    assert off.early_release_ticks == MAX_EARLY_RELEASE_TICKS


def test_there_is_no_breath_after_guessed_phrases() -> None:
    reading, bar_line = Performance(TUNE), 48 * TICKS_PER_STEP
    reading.play([NoteOn(bar_line - 480, 0, 60, 80)])
    [off] = reading.play([NoteOff(bar_line, 0, 60)])
    assert isinstance(off, NoteOff)
    assert off.early_release_ticks == 0


def test_the_final_ritardando_follows_its_formula() -> None:
    """v(x) = (1 + (w^q - 1) x)^(1/q), with q = 3 (Friberg and Sundberg 1999)."""
    form = Form(16, 0, 160, ((60, 64), (92, 96)))
    fastest = max(tempo_factor_permille(at(step, form)) for step in range(96, 156))
    paces = [tempo_factor_permille(at(step, form)) for step in range(140, 156)]
    assert paces == sorted(paces, reverse=True)
    assert paces[0] >= 0.99 * min(fastest, 1000) > tempo_factor_permille(at(152, form))
    assert tempo_factor_permille(at(148, form)) == pytest.approx(
        fastest * (1 - 7 / 16) ** (1 / 3), abs=2
    )
    # By constant braking power, it slows the more the nearer the end is.
    losses = [before - after for before, after in pairwise(paces)]
    assert losses[-1] == max(losses)
    assert {tempo_factor_permille(at(step, form)) for step in range(156, 160)} == {RESTING_PERMILLE}


def test_repeated_and_short_notes_are_released_early_and_long_ones_are_not() -> None:
    quarter, eighth = TICKS_PER_BEAT, TICKS_PER_BEAT // 2
    legato = early_release_ticks(quarter, repeated=False, phrase_ends=False)
    repeated = early_release_ticks(quarter, repeated=True, phrase_ends=False)
    short = early_release_ticks(eighth, repeated=False, phrase_ends=False)
    ends = early_release_ticks(quarter, repeated=False, phrase_ends=True)
    assert legato == 0
    assert 0 < short < repeated <= ends


@given(st.integers(1, 100_000), st.booleans(), st.booleans())
def test_a_note_is_never_released_before_its_half(
    length: int, repeated: bool, phrase_ends: bool
) -> None:
    lift = early_release_ticks(length, repeated=repeated, phrase_ends=phrase_ends)
    assert 0 <= lift <= min(MAX_EARLY_RELEASE_TICKS, (length + 1) / 2)


@given(
    st.integers(0, 131 * TICKS_PER_STEP),
    st.integers(0, 5),
    st.integers(1, 6),
    st.integers(0, 127),
    st.sampled_from([CHORALE, TUNE, Form(12, 0, 96, (), 6), Form(6, 2, 30, (), 2)]),
)
def test_velocities_and_tempo_factors_stay_within_limits(
    tick: int, voice: int, voices: int, pitch: int, form: Form
) -> None:
    place = position_of(form, tick)
    assert 40 <= velocity(place, voice, voices, pitch) <= 127
    assert RESTING_PERMILLE <= tempo_factor_permille(place) <= 1050


def test_a_copy_changes_independently() -> None:
    reading = Performance(CHORALE, 0, 4)
    reading.play([NoteOn(480, 1, 60, 80)])
    twin = reading.copy()
    reading.play([NoteOff(600, 1, 60)])
    [off] = twin.play([NoteOff(960, 1, 60)])
    assert isinstance(off, NoteOff)
    assert off.repeated_release_ticks == early_release_ticks(480, repeated=True, phrase_ends=False)


@pytest.mark.parametrize(("next_pitch", "left_early"), [(60, True), (62, False)])
def test_a_repeated_note_is_recognized_from_later_events(next_pitch: int, left_early: bool) -> None:
    reading = Performance(TUNE)
    written = reading.play([NoteOn(0, 0, 60, 80)]) + reading.play([NoteOff(480, 0, 60)])
    written += reading.play([NoteOn(480, 3, next_pitch, 80)])
    [left] = [event.tick for event in apply_expression(written, 100) if isinstance(event, NoteOff)]
    assert (left < 480) == left_early


_events = st.lists(
    st.one_of(
        st.builds(
            NoteOn, st.integers(0, 5000), st.integers(0, 3), st.just(60), st.integers(1, 127)
        ),
        st.builds(
            lambda tick, release: NoteOff(tick, 0, 61, min(tick, release)),
            st.integers(0, 5000),
            st.integers(0, MAX_EARLY_RELEASE_TICKS),
        ),
        st.builds(TempoFactor, st.integers(0, 5000), st.integers(500, 1040)),
    )
).map(lambda events: sorted(events, key=lambda event: event.tick))


@given(_events, st.floats(0, 100))
def test_scaled_events_lie_between_plain_and_full_expression(
    events: list[Event], percent: float
) -> None:
    found = apply_expression(events, percent)
    assert [event.tick for event in found] == sorted(event.tick for event in found)
    for event in events:
        now = expression.scale_event(event, percent)
        plain, full = expression.scale_event(event, 0), expression.scale_event(event, 100)
        numbers = (cast("tuple[int, ...]", each) for each in (plain, now, full))
        for a, b, c in zip(*numbers, strict=True):
            assert min(a, c) <= b <= max(a, c)
        assert full == (
            event._replace(tick=event.tick - event.early_release_ticks)
            if isinstance(event, NoteOff)
            else event
        )


@pytest.fixture(scope="module")
def piece_written(shipped: ModelFile) -> list[Event]:
    composer, events = Composer(shipped, seed=7), list[Event]()
    while composer.piece.number < 2:
        events += composer.step()
    return [event for event in events if event.tick < composer.piece.start_tick]


def _written(event: Event) -> tuple[object, ...]:
    """What the printed page has of an event: neither velocity, release nor tempo factor."""
    if isinstance(event, NoteOn | NoteOff):
        return (type(event), event.tick, event.voice, event.pitch)
    return (type(event), event.tick) if isinstance(event, TempoFactor) else event


def test_at_expression_0_a_piece_is_plain(piece_written: list[Event]) -> None:
    page = apply_expression(piece_written, 0)
    assert {e.velocity for e in page if isinstance(e, NoteOn)} == {PLAIN_VELOCITY}
    assert {e.permille for e in page if isinstance(e, TempoFactor)} == {1000}
    assert all(event.tick % TICKS_PER_STEP == 0 for event in page)
    assert [_written(e) for e in page] == [_written(e) for e in piece_written]


def test_expression_changes_velocities_but_neither_onsets_nor_notes(
    piece_written: list[Event],
) -> None:
    found = apply_expression(piece_written, 60)
    onsets = [(e.tick, e.voice, e.pitch) for e in found if isinstance(e, NoteOn)]
    assert onsets == [(e.tick, e.voice, e.pitch) for e in piece_written if isinstance(e, NoteOn)]
    loudness = {e.velocity for e in found if isinstance(e, NoteOn)}
    assert 15 < max(loudness) - min(loudness) < 60
    sounding: set[tuple[int, int]] = set()
    for event in found:
        if isinstance(event, NoteOn):
            assert (event.voice, event.pitch) not in sounding
            sounding.add((event.voice, event.pitch))
        elif isinstance(event, NoteOff):
            sounding.remove((event.voice, event.pitch))
    # Notes that are struck again are found to be.
    left = {(e.voice, e.pitch, e.tick) for e in found if isinstance(e, NoteOff)}
    assert not left & {(e.voice, e.pitch, e.tick) for e in found if isinstance(e, NoteOn)}
