"""Which notes one player can sound together, and that nothing else is ever composed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing import sampler
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.events import NoteOff, NoteOn
from appliance.music.playability import is_playable, unplayable_pitches
from appliance.music.score import Form, Key, PieceFacts, Tessitura

HARPSICHORD, VIOLIN, CELLO, FLUTE = 6, 40, 42, 73
CODEC = FreeRhythmCodec(lowest=33, highest=93, lengths=[60, 120, 240, 480, 960, 1920])


@pytest.mark.parametrize(
    ("pitches", "program", "playable"),
    [
        ({55, 62}, VIOLIN, True),  # the two lowest strings, open
        ({55, 57}, VIOLIN, False),  # both only on the lowest string
        ({57, 76}, VIOLIN, False),  # an octave between the fingers
        ({57, 64, 72, 76}, VIOLIN, True),
        ({63, 71}, VIOLIN, True),
        ({36, 43, 52, 60}, CELLO, True),  # C major on all four strings
        ({38, 62}, CELLO, False),
        ({44, 57}, CELLO, False),  # six semitones between the fingers
        ({48, 64, 67, 72, 76}, HARPSICHORD, True),
        ({36, 53, 70}, HARPSICHORD, False),  # three notes, each too far from the next
        ({60}, FLUTE, True),
        ({60, 64}, FLUTE, False),
        ({36, 96}, None, True),
        ({36, 96}, 110, True),  # nothing is known of bagpipes
    ],
)
def test_what_hands_can_take(pitches: set[int], program: int | None, playable: bool) -> None:
    assert is_playable(pitches, program) is playable


@given(st.frozensets(st.integers(36, 90), max_size=4), st.sampled_from([6, 40, 41, 42, 73]))
def test_what_sounds_can_be_struck_again(sounding: frozenset[int], program: int) -> None:
    if is_playable(sounding, program):
        assert not sounding & unplayable_pitches(sounding, program)


@pytest.mark.parametrize("program", [HARPSICHORD, VIOLIN, CELLO])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_unplayable_is_ever_composed(program: int, seed: int) -> None:
    """Whatever a model prefers: here, noise."""
    rng = np.random.default_rng(seed)
    tessitura = {VIOLIN: (55, 88), CELLO: (36, 69)}.get(program, (36, 86))
    form = Form(16, 0, 16 * 12, (), 4, Tessitura(*tessitura, 0.5), PieceFacts(program=program))
    context = CODEC.start(form, Key(0, False))
    sounding: set[tuple[int, int]] = set()
    most = 0
    while not context.done:
        token = sampler.sample(
            rng.normal(0, 2, CODEC.classes).astype(np.float32),
            temperature=1.0,
            top_p=1.0,
            uniform=float(rng.random()),
            forbidden=context.forbidden(),
        )
        for event in context.accept(token):
            if isinstance(event, NoteOn):
                sounding.add((event.voice, event.pitch))
            elif isinstance(event, NoteOff):
                sounding.discard((event.voice, event.pitch))
        assert is_playable([pitch for _, pitch in sounding], program)
        most = max(most, len(sounding))
    assert most > 1, "chords are composed"
