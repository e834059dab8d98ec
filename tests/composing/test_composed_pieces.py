"""Many composed pieces in a row: each complete, playable and in its place in the concert."""

from __future__ import annotations

import itertools

import pytest

from appliance.composing.groups import pause_after_s
from appliance.composing.model_file import ModelFile
from appliance.composing.programme import MAX_PIECE_STEPS
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    NoteOff,
    NoteOn,
    PieceStart,
    TempoFactor,
)
from appliance.music.score import VOICES
from tests.support.making_music import Played, is_well_formed, piece_of


def test_a_piece_begins_with_its_start_event(many_pieces: list[Played]) -> None:
    for number, played in enumerate(many_pieces, 1):
        first, *rest = played.events
        assert isinstance(first, PieceStart)
        assert piece_of(first) == played.about
        assert played.about.number == number
        assert all(not isinstance(event, PieceStart) for event in rest)


def test_ticks_never_go_back_and_every_note_ends(many_pieces: list[Played]) -> None:
    assert is_well_formed(event for played in many_pieces for event in played.events)


def test_a_piece_releases_its_last_notes_where_it_ends(many_pieces: list[Played]) -> None:
    for played in many_pieces:
        *_, last = (event for event in played.events if not isinstance(event, TempoFactor))
        assert isinstance(last, NoteOff)
        assert played.events[-1].tick <= played.end_tick
        assert is_well_formed(played.events)


def test_between_two_pieces_is_the_pause_of_a_concert(
    shipped: ModelFile, many_pieces: list[Played]
) -> None:
    """Rests at the end of a piece are part of it."""
    for before, after in itertools.pairwise(many_pieces):
        last = max(event.tick for event in before.events if isinstance(event, NoteOff))
        quarters_per_s = before.about.sounding_bpm(shipped.tempo_bpm) / 60
        pause_s = (after.about.start_tick - last) / TICKS_PER_BEAT / quarters_per_s
        assert pause_s == pytest.approx(pause_after_s(before.about), abs=0.01)


def test_the_keys_of_pieces_vary(many_pieces: list[Played]) -> None:
    keys = {(played.about.tonic, played.about.minor) for played in many_pieces}
    assert len(keys) >= 4
    assert {minor for _, minor in keys} == {False, True}


def test_a_piece_is_as_long_as_a_form_of_its_meter(
    shipped: ModelFile, many_pieces: list[Played]
) -> None:
    whole = [played for played in many_pieces if not played.given_up]
    assert len(whole) > len(many_pieces) / 2
    for played in whole:
        about = played.about
        steps = (played.end_tick - about.start_tick) // TICKS_PER_STEP
        bar_steps = about.beats_per_bar * TICKS_PER_BEAT // TICKS_PER_STEP
        pickup_steps = about.pickup_ticks // TICKS_PER_STEP
        assert steps <= MAX_PIECE_STEPS
        assert (bar_steps, pickup_steps, steps) in {form[:3] for form in shipped.forms}


def test_notes_are_playable_and_in_their_voices_range(
    shipped: ModelFile, many_pieces: list[Played]
) -> None:
    ranges = shipped.codec.options["ranges"]
    events = [event for played in many_pieces for event in played.events]
    for event in (event for event in events if isinstance(event, NoteOn | NoteOff)):
        low, high = ranges[event.voice]
        assert low <= event.pitch <= high
        if isinstance(event, NoteOn):
            assert 1 <= event.velocity <= 127


def test_all_four_voices_have_notes_that_change(many_pieces: list[Played]) -> None:
    for played in many_pieces:
        struck = [e for e in played.events if isinstance(e, NoteOn)]
        if not played.given_up:
            assert {event.voice for event in struck} == set(range(VOICES))
            assert len({event.pitch for event in struck}) > VOICES


def test_the_tempo_is_full_at_the_start_slower_at_the_end_and_full_in_the_pause(
    many_pieces: list[Played],
) -> None:
    for played in many_pieces:
        first, *factors, last = (e for e in played.events if isinstance(e, TempoFactor))
        assert (first.tick, first.permille) == (played.about.start_tick, 1000)
        assert all(500 <= event.permille <= 1040 for event in factors)
        assert (last.tick, last.permille) == (played.end_tick, 1000), "the pause"
        if not played.given_up:
            assert factors[-1].permille < 1000
            assert factors[-1].tick < played.end_tick
