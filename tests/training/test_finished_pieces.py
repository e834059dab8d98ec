"""Composed music and scores become pieces of notes."""

from __future__ import annotations

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.events import TICKS_PER_BEAT, Event, NoteOff, NoteOn
from appliance.music.notes import Note
from appliance.training.evaluate.finished_pieces import compose_pieces, notes_of
from tests.support.finished_pieces import piece_from, piece_of
from tests.support.making_music import MODEL, OPENING


def test_a_score_becomes_a_piece_with_its_notes() -> None:
    piece = piece_from(OPENING)
    sopranos = [note.pitch for note in piece.voice(0)]
    written = [
        row[0] for row, struck in zip(OPENING.pitches, OPENING.onsets, strict=True) if struck[0]
    ]
    assert sopranos == written
    assert piece.ticks == OPENING.steps * TICKS_PER_BEAT // 4
    assert (piece.key, piece.form) == (OPENING.key, OPENING.form)


def test_the_next_note_of_a_voice_ends_the_one_before() -> None:
    events: list[Event] = [NoteOn(0, 0, 60, 80), NoteOn(240, 0, 62, 80), NoteOff(480, 0, 62)]
    assert notes_of(events) == (Note(0, 240, 60, 0), Note(240, 240, 62, 0))


def test_chords_are_what_sounds_between_two_changes() -> None:
    piece = piece_of([Note(0, 960, 72, 0)], [Note(0, 480, 48, 1), Note(1440, 480, 50, 1)])
    assert piece.chords() == [
        (0, 480, [48, 72]),
        (480, 960, [72]),
        (960, 1440, []),
        (1440, 1920, [50]),
    ]


def test_composed_music_is_cut_into_pieces() -> None:
    composer = Composer(model_file.load(MODEL), seed=3)
    composer.spare_steps = 32
    pieces = compose_pieces(composer)
    first, steps = next(pieces)
    assert first.ticks == first.form.steps * TICKS_PER_BEAT // 4 or first.given_up
    assert max(note.end for note in first.notes) <= first.ticks
    assert first.notes[0].start == 0
    # The breath belongs to the piece's last call.
    assert steps[-1].tick == first.ticks < steps[-1].end_tick
    assert not first.overlong
