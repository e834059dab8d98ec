"""What a listener and a player notice, on pieces small enough to see."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.music.score import Form
from appliance.training.evaluate import musical_facts
from appliance.training.evaluate.musical_facts import facts_of
from appliance.training.evaluate.page_measures import measure_pieces
from appliance.training.evaluate.pages import GRID, Page, PageNote, make_page, page_of
from tests.support.finished_pieces import line, piece_of

SUBJECT = (60, 62, 64, 60, 65, 64, 62, 67)
ANSWER = tuple(pitch + 7 for pitch in SUBJECT)
OTHER = (72, 67, 76, 72, 79, 76, 72, 72)


def page(*voices: tuple[int, ...], bar: int = 4) -> Page:
    notes = [
        PageNote(at * GRID, (at + 1) * GRID, pitch, voice)
        for voice, pitches in enumerate(voices)
        for at, pitch in enumerate(pitches)
        if pitch
    ]
    return make_page("test", notes, bar=bar * GRID, beat=GRID)


def test_entries_are_found_in_any_voice_and_key() -> None:
    alone = (0,) * 8
    fugue = page(SUBJECT + OTHER + OTHER, alone + tuple(p - 12 for p in ANSWER) + alone)
    assert musical_facts.entries(fugue) == [0, 8 * GRID]
    assert len(musical_facts.entries(page(SUBJECT + OTHER + SUBJECT))) == 2
    assert musical_facts.entries(page(SUBJECT[:5])) == []


def test_a_bar_returns_only_from_four_bars_away() -> None:
    first, other = (60, 62, 64, 65), (72, 60, 71, 61)
    assert facts_of(page(first + first + other * 3), solo_strings=False).returning == 0
    back = page(first + other + other[::-1] + (60, 60, 67, 60) + tuple(p + 2 for p in first))
    assert facts_of(back, solo_strings=False).returning == 1


def test_keys_are_counted_by_their_signatures() -> None:
    scale = (60, 62, 64, 65, 67, 69, 71, 72) * 2
    for semitones, sharps_or_flats in ((0, 0), (7, 1), (4, 4), (6, 6), (1, 5)):
        moved = facts_of(page(tuple(p + semitones for p in scale)), solo_strings=False)
        assert moved.accidentals == sharps_or_flats
        assert not moved.minor
        assert moved.opens_at_home


@pytest.mark.parametrize(
    ("chord", "playable"),
    [((55, 62), True), ((57, 64), True), ((55, 57), False), ((57, 71), True), ((60, 81), False)],
)
def test_a_violin_takes_neighbouring_strings_within_reach(
    chord: tuple[int, ...], playable: bool
) -> None:
    found = facts_of(page(*((pitch,) * 4 for pitch in chord)), solo_strings=True)
    assert found.unplayable == (not playable)


def test_two_hands_take_a_tenth_each() -> None:
    chords = page((48,) * 4, (64,) * 4, (72,) * 4, (88,) * 4)
    assert facts_of(chords, solo_strings=False).unplayable == 0
    wide = page((30,) * 4, (60,) * 4, (90,) * 4)
    assert facts_of(wide, solo_strings=False).unplayable == 1


def test_pieces_that_are_all_alike_are_not_diverse() -> None:
    rng = np.random.default_rng(1)

    def rows(count: int, deviation: float) -> list[list[dict[str, float]]]:
        return [[{"a": x, "b": y}] for x, y in rng.normal(0, deviation, (count, 2)).tolist()]

    real = rows(40, 1)
    assert musical_facts.spread(real[:1] * 5, real) == 0
    assert musical_facts.spread(rows(40, 0.3), real) < 0.5 * musical_facts.spread(real, real)


def test_a_finished_piece_stands_on_the_page_as_it_is_written() -> None:
    piece = piece_of(line(*SUBJECT, *OTHER), form=Form(16, 4, 64))
    written = page_of(piece, "piece")
    assert (written.bar, written.beat, written.pickup) == (4 * GRID, GRID, GRID)
    assert [note.pitch for note in written.notes] == [*SUBJECT, *OTHER]
    assert written.end == 16 * GRID
    (measures,) = measure_pieces([piece, piece_of()], solo_strings=False)
    assert measures.facts.entries == 1
