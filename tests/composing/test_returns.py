"""Planned returns: bars come again, and a composer can go back or be replaced within them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from appliance.composing import composer as composing
from appliance.composing.composer import Composer
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.events import TICKS_PER_STEP, Event, NoteOn
from appliance.music.returns import Entry, Return
from appliance.music.score import NO_FACTS, Form, Key
from tests.support.making_music import NO_CORRECTIONS, Noise, compose_pieces, model_file_of

BAR_TICKS = 16 * TICKS_PER_STEP
FORM = Form(
    16,
    0,
    16 * 12,
    facts=replace(NO_FACTS, returns=(Return(6, 1, 3, 0),), entries=(Entry(64, 0, 8, False),)),
)
RETURNS = (Return(6, 0, 6, 0),)
CODECS = (
    FreeRhythmCodec(lowest=40, highest=88, lengths=[120, 240, 480]),
    FourPartCodec(onsets=True, form=True),
    AbcCodec(),
)


@pytest.fixture(autouse=True)
def _noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "StepModel", Noise)


def composer_of(codec: Any, temperature: float = 1.0) -> Composer:
    return Composer(
        model_file_of(codec, [FORM]), seed=3, temperature=temperature, top_p=0.9, repeats=False
    )


def within_a_return(composer: Composer) -> list[Event]:
    """Compose up to the middle of the bars that return, and return the events."""
    events = composer.step()
    while composer.tick - composer.piece.start_tick < 6.5 * BAR_TICKS:
        events += composer.step()
    return events


def steps(composer: Composer, count: int = 120) -> list[Event]:
    return [event for _ in range(count) for event in composer.step()]


def test_bars_return_although_the_model_has_learned_nothing() -> None:
    """Of bars 7 to 9 most notes are those of bars 2 to 4; of the two bars before, few."""
    composer = composer_of(CODECS[0])
    composer.step_model.corrections = NO_CORRECTIONS
    played = compose_pieces(composer, 1)[0]
    start = played.about.start_tick
    struck = {(e.tick - start, e.pitch) for e in played.events if isinstance(e, NoteOn)}

    def likeness(bar: int, source: int) -> float:
        one, other = (
            {(tick % BAR_TICKS, pitch) for tick, pitch in struck if tick // BAR_TICKS == number}
            for number in (bar, source)
        )
        return len(one & other) / len(one | other)

    assert sum(likeness(bar, bar - 5) for bar in (6, 7, 8)) / 3 > 0.6
    assert sum(likeness(bar, bar - 4) for bar in (4, 5)) / 2 < 0.2


def test_a_chorale_is_free_to_close() -> None:
    """Nothing is planned in the last two bars: where they come from may close on another chord."""
    codec, step = FourPartCodec(onsets=True, form=True), 0
    context = codec.start(FORM._replace(facts=replace(NO_FACTS, returns=RETURNS)), Key(0, False))
    planned = set()
    while not context.done:
        if context.planned():
            planned.add(step // 16)
        for _ in codec.inputs.indices("voice"):
            context.accept(7 + step // 16)
        step += 1
    assert planned == {6, 7, 8, 9}


@pytest.mark.parametrize("codec", CODECS)
def test_a_rewind_within_a_return_goes_on_with_it(codec: Any) -> None:
    composer = composer_of(codec)
    within_a_return(composer)
    snapshot = composer.snapshot()
    assert snapshot is not None
    first = steps(composer)
    composer.restore(snapshot)
    assert steps(composer) == first


@pytest.mark.parametrize("codec", CODECS)
def test_a_composer_that_takes_over_within_a_return_goes_on_with_it(codec: Any) -> None:
    composer = composer_of(codec)
    before = within_a_return(composer)
    successor = composer_of(codec)
    successor.resume(before, composer.tick)
    assert steps(successor) == steps(composer)


def test_a_knob_that_is_turned_within_a_return_leaves_it_planned() -> None:
    composer = composer_of(CODECS[1])
    within_a_return(composer)
    composer.temperature = 2.0
    snapshot = composer.snapshot()
    assert snapshot is not None
    assert snapshot.context.planned()
