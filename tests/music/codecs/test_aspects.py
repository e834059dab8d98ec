"""The aspects of a token: what they say, and that they follow the piece."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.codecs import four_part_aspects, free_rhythm_aspects, registry
from appliance.music.codecs.base import Codec, Context
from appliance.music.codecs.four_part import HOLD, FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.score import LOWEST_PITCH, VOICE_ORDER, Form, Key

FOUR_PARTS = FourPartCodec(onsets=True, form=True)
FREE_RHYTHM = FreeRhythmCodec(lowest=36, highest=84, lengths=[60, 120, 240, 480, 960])
CODECS: list[Codec] = [FOUR_PARTS, FREE_RHYTHM, registry.make("abc", {})]
FORM = Form(16, 0, 256, ((240, 256),), 4)
C_MAJOR = Key(0, False)


def written(codec: Codec, choices: list[int]) -> Context:
    context = codec.start(FORM, C_MAJOR)
    for choice in choices:
        if context.done:
            break
        token = [*{*range(len(codec.vocabulary))} - {*context.forbidden()}]
        context.accept(sorted(token)[choice % len(token)])
    return context


codecs = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
choice_lists = st.lists(st.integers(0, 1000), max_size=60)


@codecs
@given(choices=choice_lists)
def test_every_class_has_aspects_of_the_codec(codec: Codec, choices: list[int]) -> None:
    aspects = written(codec, choices).aspects()
    assert aspects.shape[1] == len(codec.vocabulary)
    assert ((aspects >= 0) & (aspects <= codec.aspect_layout.width)).all()
    assert codec.aspect_layout.width


@codecs
@given(before=choice_lists, after=choice_lists)
def test_a_copy_keeps_its_aspects(codec: Codec, before: list[int], after: list[int]) -> None:
    context = written(codec, before)
    copy, aspects = context.copy(), context.aspects()
    for choice in after:
        if context.done:
            break
        tokens = sorted({*range(len(codec.vocabulary))} - {*context.forbidden()})
        context.accept(tokens[choice % len(tokens)])
    assert np.array_equal(copy.aspects(), aspects)


def four_parts(*chords: tuple[int, int, int, int]) -> Any:
    """A piece of these chords, from soprano to bass, a 16th each; then three voices of a fourth."""
    context = FOUR_PARTS.start(FORM, C_MAJOR)
    for chord in chords:
        for voice in VOICE_ORDER:
            context.accept(chord[voice] - LOWEST_PITCH)
    return context


def test_third_step_in_one_direction_and_the_turn_are_told_apart() -> None:
    context = four_parts((72, 64, 55, 48), (74, 64, 55, 48), (76, 64, 55, 48))
    on, turn, leap = (context.aspects()[:, p - LOWEST_PITCH] for p in (77, 74, 79))
    layout = four_part_aspects.ASPECTS
    assert layout["line", 0, 0] in on
    assert layout["line", 0, 1] in turn
    assert not {*map(int, leap)} & {*layout.indices("line")}


def test_held_note_clashes_as_a_struck_one() -> None:
    context = four_parts((72, 64, 55, 48))
    context.accept(71 - LOWEST_PITCH)
    context.accept(HOLD)
    layout = four_part_aspects.ASPECTS
    clashes = {*layout.indices("clash")}
    for pitch in (48, 55):
        voice = VOICE_ORDER[context.place]
        assert context.sounding[voice] == 55
        struck = {*map(int, context.aspects()[:, pitch - LOWEST_PITCH])} & clashes
        held = {*map(int, context.aspects()[:, HOLD])} & clashes
        assert (struck == held) == (pitch == 55)


@pytest.mark.parametrize(("length", "is_bass"), [(0, True), (3, False)])
def test_note_below_all_that_sounds_is_the_bass(length: int, is_bass: bool) -> None:
    context = FREE_RHYTHM.start(FORM, C_MAJOR)
    for ticks, pitch, chosen in ((0, 72, 3), (0, 48, length), (120, 74, 3)):
        context.accept(FREE_RHYTHM.time_shifts.index(ticks))
        context.accept(FREE_RHYTHM.token_of_pitch(pitch))
        context.accept(FREE_RHYTHM.first_length + chosen)
    context.accept(0)
    layout = free_rhythm_aspects.ASPECTS
    first_move_off_beat = 1 * (free_rhythm_aspects.MOVES + 1) + free_rhythm_aspects.NO_MOVE
    again, higher, lower = (
        {*map(int, context.aspects()[:, FREE_RHYTHM.token_of_pitch(pitch)])}
        & {*layout.indices("bass")}
        for pitch in (48, 50, 46)
    )
    assert again == ({layout["bass", first_move_off_beat, 0]} if is_bass else set())
    assert bool(higher) == is_bass
    assert higher != lower
