"""Frozen chords, loops, silences and poor endings are found."""

from __future__ import annotations

import pytest

from appliance.music.events import Event, NoteOff, NoteOn
from appliance.music.score import Key
from appliance.training.evaluate.defects import DefectCounter, find_defects
from appliance.training.evaluate.finished_pieces import ComposerStep, FinishedPiece
from tests.support.finished_pieces import line, piece_from, piece_of
from tests.support.making_music import chords


def test_frozen_chords_and_endings_are_found() -> None:
    frozen = chords((64, (72, 67, 64, 48)), (4, (71, 67, 62, 43)), (4, (72, 67, 64, 48)))
    found = find_defects(piece_from(frozen))
    assert found.frozen_beats == 16
    assert found.held_beats == 16
    assert found.silent_beats == 0
    assert (found.ends_on_tonic, found.ends_with_cadence) == (True, True)
    open_end = piece_from(chords((4, (72, 67, 64, 48)), (4, (71, 67, 62, 43))))
    assert not find_defects(
        FinishedPiece(open_end.notes, Key(0, False), open_end.form, open_end.ticks)
    ).ends_on_tonic


def test_a_repeated_chord_is_frozen_and_a_repeated_figure_is_a_loop() -> None:
    assert find_defects(piece_of(line(*[60] * 12))).frozen_beats == 12
    figure = find_defects(piece_of(line(*[60, 64, 67, 64] * 5)))
    assert figure.frozen_beats == 1
    assert figure.loop_beats == 16
    assert find_defects(piece_of(line(*range(60, 80)))).loop_beats == 0


def test_repeated_runs_are_counted() -> None:
    tune = [60, 62, 65, 64, 67, 60, 59, 62, 71, 72]
    assert find_defects(piece_of(line(*tune))).repeated == 0
    assert find_defects(piece_of(line(*tune, *tune))).repeated == pytest.approx(2 / 20)


def test_silences_and_unmatched_events_are_found_across_pieces() -> None:
    counter = DefectCounter()
    piece = piece_of(line(60))
    counter.add(piece, [ComposerStep(0, [NoteOn(0, 0, 60, 80), NoteOff(480, 0, 60)], 480)])
    later: list[Event] = [NoteOn(1920, 0, 60, 80), NoteOn(2000, 0, 61, 80), NoteOff(2400, 0, 60)]
    counter.add(piece, [ComposerStep(1920, later, 2400)])
    assert counter.report.max_silent_beats == 3
    assert counter.report.unmatched_events == 2
    assert counter.report.repeated_openings == 1
