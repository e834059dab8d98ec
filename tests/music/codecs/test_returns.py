"""A form's map of returns: what is planned comes, and never what is forbidden."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.tokens import TOKEN
from appliance.music.codecs.base import Context
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.events import TICKS_PER_STEP, Event, NoteOn
from appliance.music.returns import Entry, Return
from appliance.music.score import NO_FACTS, Form, Key

BAR_TICKS = 16 * TICKS_PER_STEP
FREE_RHYTHM = FreeRhythmCodec(lowest=40, highest=88, lengths=[120, 240, 480, 960])
FOUR_PARTS = FourPartCodec(onsets=True, form=True)
C = Key(0, False)
SUBJECT = (72, 74, 76, 77, 79, 77, 76, 74)
Notes = set[tuple[int, int]]


def form_with(*returns: Return, entries: tuple[Entry, ...] = (), bars: int = 8) -> Form:
    return Form(16, 0, 16 * bars, facts=replace(NO_FACTS, returns=returns, entries=entries))


def write(context: Any, seed: int, avoided: frozenset[int] = frozenset()) -> list[Event]:
    """Fill a piece at random, but with what is planned wherever it is allowed."""
    rng, events = random.Random(seed), list[Event]()
    classes = len(getattr(context, "codec", AbcCodec()).vocabulary)
    while not context.done:
        forbidden = {*context.forbidden()}
        allowed = [token for token in range(classes) if token not in forbidden]
        allowed = [token for token in allowed if token not in avoided] or allowed
        planned = [token for token in context.planned() if token in allowed]
        events += context.accept(rng.choice(planned or allowed))
    return events


def say_melody(context: Any, pitches: Sequence[int]) -> list[Event]:
    """Strike these MIDI notes in free rhythm, an 8th each."""
    codec, events = FREE_RHYTHM, list[Event]()
    for number, pitch in enumerate(pitches):
        for token in (2 if number else 0, codec.token_of_pitch(pitch), codec.first_length + 1):
            events += context.accept(token)
    return events


def notes_of_bar(events: list[Event], bar: int, move: int = 0) -> Notes:
    return {
        (event.tick - bar * BAR_TICKS, event.pitch + move)
        for event in events
        if isinstance(event, NoteOn) and event.tick // BAR_TICKS == bar
    }


def start(codec: Any, form: Form) -> Context:
    context: Context = codec.start(form, C)
    return context


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("move", [0, -5, -12])
def test_bars_of_free_rhythm_return(move: int, seed: int) -> None:
    """Two bars come again, moved, wherever the music between them has led."""
    context = start(FREE_RHYTHM, form_with(Return(4, 0, 2, move)))
    events = say_melody(context, (*SUBJECT, *SUBJECT[::-1]))
    events += context.accept(FREE_RHYTHM.time_shifts.index(240)) + write(context, seed)
    for bar in (0, 1):
        assert notes_of_bar(events, 4 + bar) == notes_of_bar(events, bar, move)


@pytest.mark.parametrize("seed", range(5))
def test_four_parts_return(seed: int) -> None:
    events = write(start(FOUR_PARTS, form_with(Return(3, 0, 1, 0), bars=6)), seed)
    expected, found = notes_of_bar(events, 0), notes_of_bar(events, 3)
    # A note that was held into the bar is struck in it; parallels stay forbidden.
    assert len(found & expected) >= 0.8 * len(expected)


@pytest.mark.parametrize("seed", range(5))
def test_a_bar_of_a_tune_returns(seed: int) -> None:
    context = AbcCodec().start(form_with(Return(4, 0, 1, 0)), C)
    context.accept(min(context.allowed_tokens()))
    closings = frozenset(map(TOKEN.__getitem__, ("|:", "||", ":|", "::", "|1", ":|2")))
    events = write(context, seed, closings)
    assert notes_of_bar(events, 4) == notes_of_bar(events, 0)


def test_the_symbols_of_a_tune_that_are_planned() -> None:
    """Each symbol of a bar, moved by scale degrees."""
    for move, expected in ((0, "C2>E2 ^F"), (1, "D2>F2 G")):
        context = AbcCodec().start(form_with(Return(1, 0, 1, move)), C)
        context.accept(TOKEN["major"])
        for symbol in ("C", "2", ">", "E", "2", "^", "F", "G", "A", "B", "|"):
            context.accept(TOKEN[symbol])
        for symbol in expected.replace(" ", ""):
            assert [*context.planned()] == [TOKEN[symbol]]
            context.accept(TOKEN[symbol])


@pytest.mark.parametrize("lower", [False, True])
def test_the_opening_enters_again_with_others_around_it(lower: bool) -> None:
    """All its notes are struck at their times, an octave lower, whatever else is struck."""
    form = form_with(entries=(Entry(32, -12, 8, lower),))
    context = start(FREE_RHYTHM, form)
    say_melody(context, SUBJECT)
    events = write(context, 3)
    struck = {(event.tick, event.pitch) for event in events if isinstance(event, NoteOn)}
    assert {(2 * BAR_TICKS + 240 * n, pitch - 12) for n, pitch in enumerate(SUBJECT)} <= struck


@pytest.mark.parametrize("codec", [FREE_RHYTHM, FOUR_PARTS, AbcCodec()])
def test_a_form_without_a_map_plans_nothing(codec: Any) -> None:
    context, rng = start(codec, form_with()), random.Random(1)
    while not context.done:
        assert not context.planned()
        forbidden = {*context.forbidden()}
        context.accept(rng.choice([t for t in range(len(codec.vocabulary)) if t not in forbidden]))


def test_a_note_that_leaves_the_scale_may_go_to_its_neighbour() -> None:
    context = start(FREE_RHYTHM, form_with(Return(1, 0, 1, 7)))
    b, f_sharp = FREE_RHYTHM.token_of_pitch(59), FREE_RHYTHM.token_of_pitch(66)
    longest, half_bar = FREE_RHYTHM.first_length + 3, FREE_RHYTHM.time_shifts.index(960)
    for token in (0, b, longest, half_bar, b, longest, half_bar):
        context.accept(token)
    assert [*context.planned()] == [f_sharp, f_sharp - 1, f_sharp + 1]
