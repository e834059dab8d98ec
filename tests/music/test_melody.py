"""A melody is read as it is, or refused with a sentence."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_STEP
from appliance.music.files.score_file import KeySignature, ScoreFile
from appliance.music.melody import MAX_STEPS, Melody, melody_of
from appliance.music.notes import Note
from appliance.music.score import SILENT, Key

LOWEST, HIGHEST = 57, 81
ODE = (66, 66, 67, 69, 69, 67, 66, 64, 62, 62, 64, 66, 66, 64, 64)
"""In D major; all quarters but the last three, which are a dotted quarter, an eighth, a half."""
ODE_STEPS = (*(4,) * 12, 6, 2, 8)


def line(pitches: Any, lengths: Any, start: int = 0) -> tuple[Note, ...]:
    """Notes one after another; lengths in 16ths."""
    starts = accumulate(lengths, initial=start)
    return tuple(
        Note(at * TICKS_PER_STEP, length * TICKS_PER_STEP, pitch)
        for at, length, pitch in zip(starts, lengths, pitches, strict=False)
    )


def file_of(*parts: tuple[Note, ...], meter: tuple[int, int] = (4, 4), **facts: Any) -> ScoreFile:
    return ScoreFile("a", parts, (meter,), **facts)


def read(*parts: tuple[Note, ...], **facts: Any) -> Melody:
    return melody_of(file_of(*parts, **facts), LOWEST, HIGHEST)


def notes_of(melody: Melody) -> list[tuple[int, int, int]]:
    """Beginning, end and MIDI note of each note, in 16ths."""
    found: list[tuple[int, int, int]] = []
    for step, (pitch, struck) in enumerate(zip(melody.pitches, melody.onsets, strict=True)):
        if struck:
            found.append((step, step + 1, pitch))
        elif pitch != SILENT:
            start, _, before = found[-1]
            assert before == pitch
            found[-1] = (start, step + 1, pitch)
    return found


@given(
    st.lists(
        st.tuples(st.integers(LOWEST, HIGHEST), st.integers(1, 9), st.integers(0, 3)),
        min_size=1, max_size=40,
    ),
    st.integers(0, 40),
)  # fmt: skip
def test_any_line_of_notes_is_kept_note_for_note(
    moves: list[tuple[int, int, int]], lead: int
) -> None:
    expected, at = [], 0
    for pitch, length, rest in moves:
        expected.append((at, at + length, pitch))
        at += length + rest
    part = tuple(
        Note((start + lead) * TICKS_PER_STEP, (end - start) * TICKS_PER_STEP, pitch)
        for start, end, pitch in expected
    )
    melody = read(part)
    assert notes_of(melody) == expected
    assert melody.form.steps == len(melody.pitches) == expected[-1][1]
    assert melody.notices == ()
    assert 0 <= melody.form.pickup_steps < 16
    edges = [edge for span in melody.form.fermatas for edge in span]
    assert edges == sorted(edges)
    assert edges[-1] == melody.form.steps


def test_key_meter_and_phrases_are_found() -> None:
    melody = read(line(ODE, ODE_STEPS) + line((*ODE[:13], 62, 62), ODE_STEPS, 64))
    assert melody.key == Key(2, minor=False)
    assert (melody.form.bar_steps, melody.form.pickup_steps) == (16, 0)
    assert melody.form.fermatas == ((56, 64), (120, 128))
    waltz = read(line(ODE[:6], (4,) * 6), meter=(3, 4))
    assert waltz.form.bar_steps == 12


def test_what_is_written_is_believed() -> None:
    part = line((64, 69, 71, 72, 71, 69), (4,) * 5 + (8,))
    melody = read(
        part, key_signature=KeySignature(0, minor=True), first_bar_ticks=4 * TICKS_PER_STEP,
        fermatas=((8 * TICKS_PER_STEP, 12 * TICKS_PER_STEP),),
    )  # fmt: skip
    assert melody.key == Key(9, minor=True)
    assert melody.form.pickup_steps == 4
    assert melody.form.fermatas == ((8, 12), (20, 28))


def test_an_upbeat_after_rests_is_a_pickup() -> None:
    assert read(line(ODE, ODE_STEPS, start=12)).form.pickup_steps == 4


@pytest.mark.parametrize(
    ("moved", "shift", "said"),
    [
        (0, 0, None),
        (-12, 12, "up by 1 octave"),
        (24, -12, "down by 1 octave"),
        (-24, 24, "up by 2 octaves"),
    ],
)
def test_a_melody_elsewhere_is_moved_by_octaves_and_that_is_said(
    moved: int, shift: int, said: str | None
) -> None:
    melody = read(line([pitch + moved for pitch in ODE], ODE_STEPS))
    assert [pitch for _, _, pitch in notes_of(melody)] == [p + moved + shift for p in ODE]
    assert melody.notices == (
        (f"the melody was transposed {said} into the range of a soprano",) if said else ()
    )


def test_a_wide_melody_is_moved_by_as_little_as_possible_and_so_is_its_key() -> None:
    melody = read(line((55, 59, 62, 67, 71, 74, 67, 55), (4,) * 8))
    assert min(melody.pitches) == LOWEST
    assert melody.key == Key(9, minor=False)
    assert "up by 2 semitones" in melody.notices[0]


@pytest.mark.parametrize("engraved", [True, False])
def test_of_several_parts_the_highest_is_taken_and_that_is_said(engraved: bool) -> None:
    lower = line([pitch - 12 for pitch in ODE], ODE_STEPS)
    parts = (line(ODE, ODE_STEPS), lower) if engraved else (lower, line(ODE, ODE_STEPS))
    melody = read(*parts, engraved=engraved)
    assert [pitch for _, _, pitch in notes_of(melody)] == [*ODE]
    assert melody.notices == ("of 2 parts the highest was taken as the melody",)


def test_notes_that_overlap_a_little_are_played_legato() -> None:
    part = tuple(note._replace(length=note.length + 70) for note in line(ODE, ODE_STEPS))
    assert notes_of(read(part))[:2] == [(0, 4, 66), (4, 8, 66)]


def test_notes_off_the_grid_are_moved_to_it_and_that_is_said() -> None:
    part = tuple(Note(160 * n, 160, pitch) for n, pitch in enumerate(ODE))
    melody = read(part)
    assert [pitch for _, _, pitch in notes_of(melody)] == [*ODE]
    assert "moved to the grid" in melody.notices[0]


OVERLAPPING = line(ODE, ODE_STEPS) + line((60,), (4,), 20)
CHORD = (Note(0, 480, 60), Note(0, 480, 64))


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (file_of(), "no notes"),
        (file_of(()), "no notes"),
        (file_of(OVERLAPPING), "in bar 2 it has two notes at once"),
        (file_of(CHORD), "in bar 1 it has two notes at once"),
        (file_of((Note(0, 40, 60), Note(50, 40, 62), Note(100, 300, 64))), "shorter than a 16th"),
        (file_of(line(ODE, ODE_STEPS), meter=(6, 8)), "its meter is 6/8, but"),
        (file_of(line((50, 80), (4, 4))), "spans 30 semitones, and a soprano sings at most 24"),
        (file_of(line((60,) * 300, (4,) * 300)), "75 bars long, and at most 64"),
    ],
)  # fmt: skip
def test_what_is_no_melody_is_refused_in_a_sentence(file: ScoreFile, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        melody_of(file, LOWEST, HIGHEST)
    assert words in str(refused.value)
    assert refused.value.remedy


def test_changing_meters_are_named() -> None:
    file = ScoreFile("a", (line(ODE, ODE_STEPS),), ((4, 4), (3, 4)))
    with pytest.raises(UsageError, match="4/4 and 3/4"):
        melody_of(file, LOWEST, HIGHEST)


def test_the_longest_melody_is_read() -> None:
    assert len(read(line((60, 62) * 128, (4,) * 256)).pitches) == MAX_STEPS
