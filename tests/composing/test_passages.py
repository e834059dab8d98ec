"""The bars between opening and closing keep what is known of the piece that the form comes from."""

from __future__ import annotations

import pytest

from appliance.composing import passages
from appliance.composing.snapshot import Progress
from appliance.composing.token_source import Passage
from appliance.music.codecs.base import Context
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP, Event, NoteOff, NoteOn, Piece
from appliance.music.score import Form, Key, PieceFacts
from appliance.music.traits import Traits

BAR_STEPS = 16
BAR_TICKS = BAR_STEPS * TICKS_PER_STEP
OPENING_TICKS = passages.OPENING_BARS * BAR_TICKS
TWO_VOICES = Traits(
    voices=2.0, notes_per_quarter=2.0, alone=0.05, together=0.5, top_repeats=0.0, top_steps=0.5,
    bass_repeats=0.0, bass_leaps=0.0, steady=0.5, returns=0.0,
)  # fmt: skip
PIECE = Piece(2, 0, minor=False, beats_per_bar=4, pickup_ticks=0, start_tick=0)


def context_at(tick: int, traits: Traits | None = TWO_VOICES) -> Context:
    codec = FreeRhythmCodec(lowest=36, highest=84, lengths=[120, 240, 480, 960])
    form = Form(BAR_STEPS, 0, 40 * BAR_STEPS, facts=PieceFacts(traits=traits))
    context = codec.start(form, Key(0, minor=False))
    context.tick = tick
    return context


def passage_at(
    tick: int,
    before: str = "opening",
    spare_steps: float = 1000,
    traits: Traits | None = TWO_VOICES,
) -> Passage | None:
    progress = Progress(token_count=30, passages=1, passage=before)
    return passages.beginning_at(context_at(tick, traits), progress, PIECE, spare_steps)


def line(*pitches: int, voice: int, beats: int = 1) -> list[Event]:
    """Notes of so many beats each, one after the other."""
    events: list[Event] = []
    for number, pitch in enumerate(pitches):
        start, end = (OPENING_TICKS + n * beats * TICKS_PER_BEAT for n in (number, number + 1))
        events += [NoteOn(start, voice, pitch, 64), NoteOff(end, voice, pitch)]
    return events


def merit(*lines: list[Event]) -> float:
    passage = passage_at(OPENING_TICKS)
    assert passage is not None
    events = sorted((event for one in lines for event in one), key=lambda event: event.tick)
    return passage.merit(context_at(OPENING_TICKS + 2 * BAR_TICKS), events)


UPPER = line(72, 74, 76, 77, 79, 77, 76, 74, voice=0)
LOWER = line(60, 59, 57, 55, 53, 52, 50, 48, voice=1)


def test_two_voices_are_like_a_piece_in_two_voices() -> None:
    passage = passage_at(OPENING_TICKS)
    assert passage is not None
    assert merit(UPPER, LOWER) >= passage.enough


@pytest.mark.parametrize(
    "lines",
    [
        [UPPER],
        [line(72, 74, voice=0, beats=4), line(60, 59, voice=1, beats=4)],
        [UPPER, line(48, 48, 48, 48, 48, 48, 48, 48, voice=1)],
        [line(72, 72, 74, 74, 76, 76, 77, 77, voice=0), LOWER],
        [UPPER, line(60, 40, 59, 41, 57, 40, 55, 41, voice=1)],
        [],
    ],
    ids=[
        "one voice alone",
        "few notes",
        "a bass that repeats",
        "a melody that repeats",
        "leaps",
        "",
    ],
)
def test_what_that_piece_has_not_is_worse(lines: list[list[Event]]) -> None:
    passage = passage_at(OPENING_TICKS)
    assert passage is not None
    assert merit(*lines) < passage.enough


def test_passages_follow_the_opening_two_bars_each() -> None:
    assert passage_at(OPENING_TICKS - 1) is None
    first = passage_at(OPENING_TICKS)
    assert first is not None
    assert passage_at(OPENING_TICKS + 2 * BAR_TICKS - 1, first.name) is None
    second = passage_at(OPENING_TICKS + 2 * BAR_TICKS + 40, first.name)
    assert second is not None
    assert not second.over(context_at(OPENING_TICKS + 4 * BAR_TICKS - 1))
    assert second.over(context_at(OPENING_TICKS + 4 * BAR_TICKS))


@pytest.mark.parametrize(
    ("spare_steps", "traits"),
    [(0, TWO_VOICES), (1000, None), (1000, TWO_VOICES._replace(alone=0.8))],
    ids=["no time", "unknown", "one voice"],
)
def test_nothing_is_rehearsed_between_where_it_cannot_help(
    spare_steps: float, traits: Traits | None
) -> None:
    passage = passage_at(OPENING_TICKS, spare_steps=spare_steps, traits=traits)
    assert passage is not None
    assert passage.samples == 0


def test_an_ending_goes_on_to_the_end() -> None:
    assert passage_at(OPENING_TICKS, "end") is None
