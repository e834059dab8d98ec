"""Four voices out of what people have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.music.codecs import four_part_conversion, parts_to_voices
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.score_file import ScoreFile
from appliance.music.notes import Note
from appliance.music.score import SILENT, Score

DATA = Path(__file__).parents[2] / "data"
CHORDS = [
    (72, 67, 64, 48), (71, 67, 62, 55), (72, 67, 64, 48), (74, 65, 62, 53),
    (72, 67, 64, 55), (71, 67, 62, 43), (72, 67, 64, 48), (69, 65, 60, 53),
] * 4  # fmt: skip
"""One chord on every beat."""


def line(pitches: Sequence[int], part: int = 0, lower: int = 0) -> tuple[Note, ...]:
    return tuple(
        Note(n * TICKS_PER_BEAT, TICKS_PER_BEAT, pitch - lower, part)
        for n, pitch in enumerate(pitches)
    )


VOICES = [line([chord[voice] for chord in CHORDS], voice) for voice in range(4)]


def score_of(*parts: Sequence[Note], names: Sequence[str] = (), engraved: bool = True) -> Score:
    length = max(note.end for part in parts for note in part)
    file = ScoreFile(
        "a", tuple(map(tuple, parts)), ((4, 4),), engraved=engraved, length_ticks=length,
        part_names=tuple(names),
    )  # fmt: skip
    return four_part_conversion.four_voices_of(file)


def beats(score: Score) -> list[tuple[int, ...]]:
    return [tuple(row) for row in score.pitches[::4]]


RIGHT_HAND, LEFT_HAND = VOICES[0] + VOICES[1], VOICES[2] + VOICES[3]


@pytest.mark.parametrize("engraved", [True, False])
def test_a_piano_that_doubles_the_voices_is_left_out(engraved: bool) -> None:
    score = score_of(*VOICES, RIGHT_HAND, LEFT_HAND, engraved=engraved)
    assert beats(score) == CHORDS
    assert score.notices == ("read 4 of 6 parts (part 5, part 6 left out)",)


def test_parts_that_have_the_names_of_voices_are_taken() -> None:
    names = ["Flute", "Soprano", "Alto", "Tenore", "Bass", "Piano", ""]
    score = score_of(line([84] * 32), *VOICES, RIGHT_HAND, LEFT_HAND, names=names)
    assert beats(score) == CHORDS
    assert score.notices == ("read 4 of 7 parts (Flute, Piano, part 7 left out)",)


@pytest.mark.parametrize("names", [
    ["Descant", "Soprano", "Alto", "Tenor", "Bass"], ["x", "Cantus", "Altus", "Tenor", "Bassus"],
])  # fmt: skip
def test_a_descant_is_no_soprano_where_there_is_one(names: list[str]) -> None:
    score = score_of(line([79] * 32), *VOICES, names=names)
    assert beats(score) == CHORDS
    assert score.notices == (f"read 4 of 5 parts ({names[0]} left out)",)


@pytest.mark.parametrize("engraved", [True, False])
def test_closed_score_with_a_piano_is_no_four_parts(engraved: bool) -> None:
    score = score_of(RIGHT_HAND, LEFT_HAND, RIGHT_HAND, LEFT_HAND, engraved=engraved)
    assert beats(score) == CHORDS


@pytest.mark.parametrize("engraved", [True, False])
def test_a_part_without_notes_is_no_voice(engraved: bool) -> None:
    assert beats(score_of(*VOICES, (), engraved=engraved)) == CHORDS
    with pytest.raises(UsageError, match="3 parts; it has up to 3 notes"):
        score_of(*VOICES[:3], (), engraved=engraved)


def test_a_part_that_begins_late_is_left_out_with_a_notice() -> None:
    late = tuple(note._replace(start=note.start + 160 * TICKS_PER_BEAT) for note in VOICES[0])
    score = score_of(*VOICES, late, engraved=False)
    assert beats(score)[:32] == CHORDS
    assert score.notices[0] == "parts without a note in its first 32 bars were left out (1)"


@pytest.mark.parametrize("lower", [0, -12])
def test_an_instrument_that_doubles_the_bass_is_left_out(lower: int) -> None:
    low = line([chord[3] for chord in CHORDS], lower=lower)
    score = score_of(*VOICES, low)
    assert beats(score)[0][:3] == CHORDS[0][:3]
    assert [row[3] % 12 for row in beats(score)] == [chord[3] % 12 for chord in CHORDS]
    assert "read 4 of 5 parts" in score.notices[0]


@pytest.mark.parametrize("semitones", [24, -12])
def test_a_part_that_no_voice_can_sing_is_left_out(semitones: int) -> None:
    """A descant or a contrabass without a name."""
    doubled = 0 if semitones > 0 else 3
    extra = line([chord[doubled] for chord in CHORDS], lower=-semitones)
    assert not 36 <= min(note.pitch for note in extra) <= max(note.pitch for note in extra) <= 81
    score = score_of(extra, *VOICES)
    assert beats(score) == CHORDS
    assert score.notices == ("read 4 of 5 parts (part 1 left out)",)


def test_of_five_real_parts_the_outer_ones_are_kept() -> None:
    second = line([chord[0] - 3 if n % 8 else chord[0] for n, chord in enumerate(CHORDS)], 4)
    score = score_of(*VOICES, second)
    assert [(row[0], row[3]) for row in beats(score)] == [(chord[0], chord[3]) for chord in CHORDS]
    assert "read 4 of 5 parts" in score.notices[0]


@pytest.mark.parametrize("engraved", [True, False])
def test_a_keyboard_reduction_is_read_as_four_voices(engraved: bool) -> None:
    score = score_of(RIGHT_HAND, LEFT_HAND, engraved=engraved)
    assert beats(score) == CHORDS
    assert score.notices == ()


def test_octaves_in_the_bass_of_a_reduction_are_left_out_with_a_notice() -> None:
    octaves = line([chord[3] + 12 for chord in CHORDS[:7]])
    score = score_of(RIGHT_HAND, LEFT_HAND + octaves)
    assert beats(score) == CHORDS
    (notice,) = score.notices
    assert "more than four notes sound at once" in notice


def test_voices_in_unison_are_kept() -> None:
    chords = [(72, 64, 64, 48), *CHORDS[1:]]
    parts = [line([chord[voice] for chord in chords]) for voice in range(4)]
    assert beats(score_of(parts[0] + parts[1], parts[2] + parts[3])) == chords


def test_divided_parts_keep_their_highest_note_with_a_notice() -> None:
    divided = VOICES[0] + line([CHORDS[0][0] - 4])
    score = score_of(tuple(sorted(divided)), *VOICES[1:])
    assert beats(score) == CHORDS
    assert score.notices == ("of chords within a part, the highest note was read (1)",)


@pytest.mark.parametrize(("voices", "why"), [(1, "a melody alone"), (2, "up to 2 notes"), (3, "3")])
def test_less_than_four_voices_are_offered_to_other_models(voices: int, why: str) -> None:
    with pytest.raises(UsageError, match=rf"{why}.*free rhythm, such as keyboard or strings"):
        score_of(*VOICES[:voices])


def test_a_crowd_is_refused() -> None:
    parts = [VOICES[0] + VOICES[1] + line([c[1] + 1 for c in CHORDS]), LEFT_HAND]
    with pytest.raises(UsageError, match="four are needed: one part each"):
        score_of(*parts)


def test_what_the_grid_moves_and_what_is_too_long_is_said() -> None:
    triplets = tuple(Note(160 * n, 160, 72) for n in range(3)) + VOICES[0][1:]
    assert score_of(triplets, *VOICES[1:]).notices == (
        "beginnings and ends of notes were moved to the grid of 16ths (4)",
    )
    long = [line([chord[voice] for chord in CHORDS * 5]) for voice in range(4)]
    assert score_of(*long).notices == ("it is long; its first 32 bars were read",)


def test_a_melody_in_abc_is_for_other_models() -> None:
    with pytest.raises(UsageError, match="a melody alone"):
        four_part_conversion.read(DATA / "abc" / "good.abc")


# Pickups


def phrase(beats_long: int, rng: random.Random) -> list[tuple[int, int]]:
    """A phrase as pitch and length in beats, with a last note of two beats."""
    return [(rng.choice((60, 62, 64, 65, 67)), 1) for _ in range(beats_long - 2)] + [(60, 2)]


@pytest.mark.parametrize("pickup", [0, 1])
@pytest.mark.parametrize("beats_in_bar", [3, 4])
def test_pickups_are_found_where_nothing_states_them(pickup: int, beats_in_bar: int) -> None:
    rng = random.Random(pickup)
    notes = [note for _ in range(4) for note in phrase(2 * beats_in_bar, rng)]
    if beats_in_bar == 3:
        # Long notes on the first beat.
        notes = [(60, 1)] * pickup + [(62, 2), (64, 1)] * 8
    elif pickup:
        notes = [(60, 1), (62, 1), (64, 1), (65, 1), (64, 1), (60, 2), (67, 1)] * 4
    rows, onsets = [], []
    for pitch, beats_long in notes:
        for step in range(4 * beats_long):
            rows.append([pitch + 12, pitch + 7, pitch + 4, pitch - 12])
            onsets.append([step == 0] * 4)
    assert parts_to_voices.pickup_of((rows, onsets), 4 * beats_in_bar) == 4 * pickup


def test_without_long_chords_no_pickup_is_assumed() -> None:
    rows = [[72, 67, 64, 48]] * 16
    assert parts_to_voices.pickup_of((rows, [[n % 4 == 0] * 4 for n in range(16)]), 16) == 0
    assert parts_to_voices.pickup_of(([[SILENT] * 4], [[False] * 4]), 16) == 0


@pytest.mark.parametrize("beats_long", [32, 64])
def test_music_in_equal_chords_is_not_moved(beats_long: int) -> None:
    chords = (CHORDS * 2)[:beats_long]
    score = score_of(*(line([c[v] for c in chords]) for v in range(4)), engraved=False)
    assert score.form.pickup_steps == 0


def moved(notes: Sequence[tuple[int, int]], steps: int) -> int:
    """The pickup of a line of pitches and lengths in 16ths, behind a rest of ``steps`` 16ths."""
    rows = [[SILENT]] * steps
    onsets = [[False]] * steps
    for pitch, length in notes:
        rows += [[pitch]] * length
        onsets += [[n == 0] for n in range(length)]
    return parts_to_voices.pickup_of((rows, onsets), 16)


PHRASE = [(60, 4), (62, 2), (64, 2), (65, 4), (64, 4)]


def test_a_last_chord_of_a_beat_does_not_outweigh_the_phrases() -> None:
    notes = PHRASE * 8
    assert moved(notes, 0) == 4
    assert moved([(60, 8), (62, 2), (64, 2), (65, 4), *notes], 0) == 0


def test_music_that_begins_with_a_rest_has_its_bars_from_there() -> None:
    assert moved([(67, 4), *PHRASE * 8], 12) == 0


def test_where_a_long_file_is_cut_nothing_ends() -> None:
    notes = [note for _ in range(8) for note in PHRASE]
    rows = [[pitch] for pitch, length in notes for _ in range(length)]
    onsets = [[n == 0] for _, length in notes for n in range(length)]
    assert parts_to_voices.pickup_of((rows, onsets), 16, has_end=False) == 0
