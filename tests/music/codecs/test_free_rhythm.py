"""The free-rhythm codec: encoding, features, forbidden tokens, conversion from score files."""

from __future__ import annotations

import random
from pathlib import Path

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.codecs.base import Cadence
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.codecs.free_rhythm_context import (
    MAX_OVERRUN_STEPS,
    MAX_SILENCE_TICKS,
    SPARE_CHORD_NOTES,
)
from appliance.music.codecs.free_rhythm_tokens import PITCH, nearest
from appliance.music.codecs.match_model import MAX_REPEATED_NOTES, REPETITION_WINDOW_NOTES
from appliance.music.codecs.voice_allocation import MAX_VOICES
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP, Event, NoteOff, NoteOn
from appliance.music.files import score_reader
from appliance.music.notes import Note
from appliance.music.score import Form, FreeRhythmScore, Key, Tessitura

LENGTHS = [30, 60, 80, 120, 240, 360, 480, 960]
CODEC = FreeRhythmCodec(lowest=36, highest=88, lengths=LENGTHS)
any_tokens = st.lists(st.integers(0, CODEC.classes - 1), max_size=200)
forms = st.builds(
    Form,
    st.sampled_from([6, 12, 16]),
    st.integers(0, 5),
    st.integers(1, 64),
    beat_steps=st.sampled_from([2, 6]),
)


def score_of(*notes: tuple[int, int, int], key: Key | None = None) -> FreeRhythmScore:
    return free_rhythm_conversion.score_from_notes(
        "made", [Note(*note) for note in notes], (16, 4), 0, key
    )


@st.composite
def scores(draw: st.DrawFn) -> FreeRhythmScore:
    """Notes with the lengths and time shifts of the codec, none struck while it sounds."""
    notes, now = [], 0
    free_from: dict[int, int] = {}
    for after in draw(st.lists(st.sampled_from([0, *LENGTHS]), min_size=1, max_size=40)):
        start = now + after
        pitch, length = draw(st.integers(36, 88)), draw(st.sampled_from(LENGTHS))
        sounding = sum(end > start for end in free_from.values())
        if free_from.get(pitch, 0) <= start and sounding < MAX_VOICES:
            now = start
            notes.append((now, length, pitch))
            free_from[pitch] = now + length
    return score_of(*notes) if notes else score_of((0, 120, 60))


def events_of(score: FreeRhythmScore) -> list[Event]:
    context = CODEC.start(score.form, score.key)
    return [event for token in CODEC.encode(score)[1] for event in context.accept(token)]


def notes_of(events: list[Event]) -> list[Note]:
    """The notes of events in which each voice ends a note before it starts another."""
    sounding: dict[int, NoteOn] = {}
    notes = []
    for event in events:
        if isinstance(event, NoteOn):
            assert event.voice not in sounding, "a voice ends a note before it starts another"
            sounding[event.voice] = event
        else:
            assert isinstance(event, NoteOff)
            start = sounding.pop(event.voice)
            assert start.pitch == event.pitch
            notes.append(Note(start.tick, event.tick - start.tick, event.pitch))
    assert not sounding
    return sorted(notes)


@given(score=scores())
def test_encoding_a_score_loses_nothing(score: FreeRhythmScore) -> None:
    assert notes_of(events_of(score)) == sorted(score.notes)


@given(score=scores())
def test_events_are_in_order_of_tick(score: FreeRhythmScore) -> None:
    ticks = [event.tick for event in events_of(score)]
    assert ticks == sorted(ticks)


@given(score=scores())
def test_encode_gives_features_and_a_token_for_every_place(score: FreeRhythmScore) -> None:
    features, tokens = CODEC.encode(score)
    counted, notes = CODEC.loss_counts(score)
    assert len(features) == len(tokens) == counted + 1
    assert notes == len(score.notes)
    for ones in features:
        assert len(ones) == len(set(ones))
        assert all(0 <= one < CODEC.width for one in ones)


@given(form=forms, tokens=any_tokens)
def test_any_allowed_tokens_give_well_formed_music_that_ends(form: Form, tokens: list[int]) -> None:
    context = CODEC.start(form, Key(0, False))
    events: list[Event] = []
    for token in tokens:
        forbidden = context.forbidden()
        assert len(set(forbidden)) < CODEC.classes
        if context.done:
            break
        if token not in forbidden:
            events += context.accept(token)
    notes_of(events + context.release_all())
    assert context.release_all() == []
    longest = max(LENGTHS)
    assert context.tick <= (form.steps + MAX_OVERRUN_STEPS) * TICKS_PER_STEP + 2 * longest


def test_no_wait_leads_off_the_grids_of_64ths_and_of_triplets() -> None:
    codec = FreeRhythmCodec(lowest=48, highest=84, lengths=[20, 30, 40, 60, 80, 120, 480])
    context = codec.start(Form(64, 0, 16), Key(0, False))
    context.accept(0)
    context.accept(codec.first_pitch + 12)
    context.accept(codec.first_length + codec.lengths.index(480))
    waits = {token for token in range(codec.end) if token not in context.forbidden()}
    assert {codec.time_shifts[wait] for wait in waits} == {0, 30, 40, 60, 80, 120, 480}
    context.accept(codec.time_shifts.index(20))
    for token in (codec.first_pitch + 14, codec.first_length + codec.lengths.index(480)):
        context.accept(token)
    waits = {token for token in range(codec.end) if token not in context.forbidden()}
    assert {codec.time_shifts[wait] for wait in waits} == {0, 20, 40, 60}, "back"


@given(form=forms, tokens=any_tokens)
def test_silence_is_never_longer_than_the_limit(form: Form, tokens: list[int]) -> None:
    context = CODEC.start(form, Key(0, False))
    events: list[Event] = []
    for token in tokens:
        if not context.done and token not in context.forbidden():
            events += context.accept(token)
    sounding, silent_since = 0, 0
    for event in events:
        if isinstance(event, NoteOn):
            if not sounding:
                assert event.tick - silent_since <= MAX_SILENCE_TICKS
            sounding += 1
        else:
            sounding -= 1
            silent_since = event.tick


@given(before=any_tokens, after=any_tokens)
def test_a_copy_changes_independently(before: list[int], after: list[int]) -> None:
    context = CODEC.start(Form(12, 2, 1000, (), 6), Key(5, True))
    for token in before:
        context.accept(token)
    was = context.features(), context.tick, context.forbidden(), context.cadence()
    twin, other = context.copy(), context.copy()
    assert [twin.accept(token) for token in after] == [other.accept(token) for token in after]
    assert twin.features() == other.features()
    assert was == (context.features(), context.tick, context.forbidden(), context.cadence())


def test_chords_are_encoded_from_the_highest_note_down_without_doubles() -> None:
    score = score_of((0, 480, 48), (0, 480, 64), (0, 240, 64), (0, 480, 55))
    assert [note.pitch for note in score.notes] == [64, 55, 48]
    context = CODEC.start(score.form, score.key)
    for token in CODEC.encode(score)[1][:4]:
        context.accept(token)
    assert context.place == PITCH
    higher = CODEC.first_pitch + 70 - CODEC.lowest
    assert higher in context.forbidden()


def test_a_sequence_on_another_degree_is_predicted() -> None:
    """After three notes of a figure a tone higher, the next ones are predicted."""
    figure = [(0, 60), (2, 60), (4, 120), (5, 120), (2, 60), (0, 60)]
    notes, now = [], 0
    for degree in (60, 62):
        for up, length in figure:
            notes.append((now, length, degree + up))
            now += length
    features, tokens = CODEC.encode(score_of(*notes))
    second = CODEC.inputs["match", 1, 0]
    expected = [
        [one - second for one in ones if second <= one < second + CODEC.classes]
        for ones in features
    ]
    known = [want == [token] for want, token in zip(expected, tokens, strict=True)]
    assert all(known[-8:-1])
    assert not any(known[: 3 * len(figure)])


def notes_as_predicted(tokens: list[int]) -> list[bool]:
    """Whether all tokens of each note were the predicted ones."""
    context, found = CODEC.start(Form(16, 0, 1000), Key(0, False)), []
    for at in range(0, len(tokens) - 2, 3):
        expected: list[int | None] = []
        for token in tokens[at : at + 3]:
            expected.append(context.match.predicted)
            context.accept(token)
        found.append(expected == tokens[at : at + 3])
    return found


@settings(max_examples=20)
@given(figure=st.lists(st.integers(60, 72), min_size=2, max_size=12), seed=st.integers(0, 99))
def test_the_repetition_limit_forces_new_notes(figure: list[int], seed: int) -> None:
    rng = random.Random(seed)
    context, tokens = CODEC.start(Form(16, 0, 1000), Key(0, False)), list[int]()
    for note in range(150):
        pitch = CODEC.first_pitch + figure[note % len(figure)] - CODEC.lowest
        for wanted in (CODEC.time_shifts.index(120) if note else 0, pitch, CODEC.first_length + 3):
            allowed = sorted({*range(CODEC.classes)} - {*context.forbidden(), CODEC.end})
            tokens.append(wanted if wanted in allowed else rng.choice(allowed))
            context.accept(tokens[-1])
    again = notes_as_predicted(tokens)
    windows = [
        sum(again[at : at + REPETITION_WINDOW_NOTES])
        for at in range(len(again) - REPETITION_WINDOW_NOTES)
    ]
    assert max(windows) == MAX_REPEATED_NOTES


@given(
    tokens=any_tokens,
    low=st.integers(0, 100),
    size=st.integers(1, 40),
    chord_share=st.sampled_from([0.0, 0.1, 0.5]),
)
def test_a_piece_keeps_to_its_tessitura(
    tokens: list[int], low: int, size: int, chord_share: float
) -> None:
    tessitura = Tessitura(low, low + size, chord_share)
    context = CODEC.start(Form(16, 0, 64, (), 4, tessitura), Key(0, False))
    for token in tokens:
        forbidden = {*context.forbidden()}
        assert len(forbidden) < CODEC.classes
        if not context.done and token not in forbidden:
            context.accept(token)
    inside = max(low, CODEC.lowest), min(low + size, CODEC.highest)
    if inside[0] < inside[1]:
        assert all(inside[0] <= pitch <= inside[1] for pitch in context.pitches)
    assert context.chord_notes <= chord_share * len(context.pitches) + SPARE_CHORD_NOTES + 1


@given(score=scores())
def test_the_tessitura_of_a_score(score: FreeRhythmScore) -> None:
    context = CODEC.start(score.form, score.key)
    for token in CODEC.encode(score)[1]:
        context.accept(token)
    lowest, highest, chord_share = score.tessitura
    assert (lowest, highest) == score.pitch_range()
    assert chord_share == pytest.approx(context.chord_notes / len(score.notes), abs=1e-3)


@given(pitch=st.integers(0, 127), highest=st.integers(41, 127))
def test_a_note_out_of_range_is_encoded_in_another_octave(pitch: int, highest: int) -> None:
    codec = FreeRhythmCodec(lowest=40, highest=highest, lengths=LENGTHS)
    _, tokens = codec.encode(score_of((0, 120, pitch)))
    encoded = tokens[PITCH] - codec.first_pitch + codec.lowest
    assert codec.lowest <= encoded <= highest
    if highest - codec.lowest >= 11:
        assert (encoded - pitch) % 12 == 0
        assert abs(encoded - pitch) == min(
            abs(p - pitch) for p in range(40, highest + 1) if (p - pitch) % 12 == 0
        )


def test_cadence_of_the_last_notes() -> None:
    for notes, cadence in (
        ([(0, 480, 55), (480, 480, 60)], Cadence.FULL),
        ([(0, 480, 57), (480, 480, 60)], Cadence.TONIC),
        ([(0, 480, 60), (480, 480, 62)], Cadence.OPEN),
        ([(0, 480, 43), (480, 480, 48), (480, 480, 64)], Cadence.FULL),
        ([(0, 480, 43), (480, 480, 52), (480, 480, 60)], Cadence.OPEN),
    ):
        score = score_of(*notes, key=Key(0, False))
        context = CODEC.start(score.form, score.key)
        for token in CODEC.encode(score)[1]:
            context.accept(token)
        assert context.done
        assert context.cadence() == cadence, notes


@given(st.lists(st.integers(0, 500), min_size=1, unique=True).map(sorted), st.integers(0, 600))
def test_nearest_has_the_smallest_distance(choices: list[int], wanted: int) -> None:
    distance = abs(choices[nearest(choices, wanted)] - wanted)
    assert distance == min(abs(choice - wanted) for choice in choices)


@pytest.mark.parametrize(
    "options",
    [
        {"lowest": 60, "highest": 50, "lengths": LENGTHS},
        {"lowest": -1, "highest": 50, "lengths": LENGTHS},
        {"lowest": 40, "highest": 128, "lengths": LENGTHS},
        {"lowest": 40, "highest": 80, "lengths": [480, 240]},
        {"lowest": 40, "highest": 80, "lengths": [0, 240]},
        {"lowest": 40, "highest": 80, "lengths": [240]},
        {"lowest": 0, "highest": 127, "lengths": [*range(1, 65)]},
    ],
)
def test_impossible_options_raise_value_error(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FreeRhythmCodec(**options)  # type: ignore[arg-type]


# Files


def midi(path: Path, *notes: tuple[int, int, int], meter: tuple[int, int] = (4, 4)) -> Path:
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("time_signature", numerator=meter[0], denominator=meter[1]))
    timed = [(start, 90, pitch) for start, _, pitch in notes]
    timed += [(start + length, 0, pitch) for start, length, pitch in notes]
    now = 0
    for tick, velocity, pitch in sorted(timed):
        track.append(mido.Message("note_on", note=pitch, velocity=velocity, time=tick - now))
        now = tick
    file.tracks.append(track)
    file.save(path)
    return path


@given(score=scores())
def test_a_midi_file_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, score: FreeRhythmScore
) -> None:
    path = midi(tmp_path_factory.mktemp("midi") / "a.mid", *(note[:3] for note in score.notes))
    assert free_rhythm_conversion.read(path).notes == score.notes


@pytest.mark.parametrize(
    ("meter", "bar", "beat"),
    [((4, 4), 16, 4), ((3, 8), 6, 2), ((6, 8), 12, 6), ((12, 8), 24, 6), ((2, 2), 16, 4)],
)
def test_the_meter_is_read_from_the_file(
    tmp_path: Path, meter: tuple[int, int], bar: int, beat: int
) -> None:
    form = free_rhythm_conversion.read(midi(tmp_path / "a.mid", (0, 480, 60), meter=meter)).form
    assert (form.bar_steps, form.beat_steps) == (bar, beat)


def test_pickup_of_finds_an_upbeat() -> None:
    notes = [(0, 120, 67)]
    for bar in range(4):
        start = 120 + bar * 1920
        notes += [(start, 960, 60 + bar), (start + 960, 840, 64), (start + 1800, 120, 67)]
    pickup = free_rhythm_conversion.pickup_of(tuple(Note(*note) for note in notes), 16)
    assert pickup in (0, 1)  # a single 16th is not looked for
    moved = [(start + 360, length, pitch) for start, length, pitch in notes]
    assert free_rhythm_conversion.pickup_of(tuple(Note(*note) for note in moved), 16) == 4


def test_key_of_finds_the_key() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72, 67, 64, 60]
    for shift in range(12):
        notes = [(n * 240, 240, pitch + shift) for n, pitch in enumerate(scale)]
        assert score_of(*notes).key == Key(shift, False)
    minor = [57, 59, 60, 62, 64, 65, 68, 69, 64, 60, 57]
    assert score_of(*((n * 240, 240, p) for n, p in enumerate(minor))).key == Key(9, True)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.mid", b""), ("a.mid", b"MThd"), ("a.midi", bytes(99)), ("a.txt", b"x"), ("a", b"x")],
)
def test_a_file_that_is_no_score_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UsageError, match=str(path)):
        free_rhythm_conversion.read(path)
    with pytest.raises(UsageError, match="No such file"):
        free_rhythm_conversion.read(tmp_path / "none.mid")


def test_read_opening_takes_a_file_in_range(tmp_path: Path) -> None:
    opening = CODEC.opening(
        score_reader.read(midi(tmp_path / "a.mid", (0, 480, 60), (480, 480, 62)))
    )
    assert len(opening.tokens) == 6
    with pytest.raises(UsageError, match="MIDI note 100 is out of the model's range"):
        CODEC.opening(score_reader.read(midi(tmp_path / "b.mid", (0, 480, 100))))


@given(score=scores(), semitones=st.integers(-5, 6))
def test_transposition_maps_give_the_encoding_of_the_transposed_score(
    score: FreeRhythmScore, semitones: int
) -> None:
    codec = FreeRhythmCodec(lowest=0, highest=127, lengths=LENGTHS)
    inputs, classes = codec.transposition_maps(semitones)
    features, tokens = codec.encode(score)
    moved_features, moved_tokens = codec.encode(score.transposed(semitones))
    assert [{inputs[one] for one in ones} for ones in features] == [*map(set, moved_features)]
    assert [classes[token] for token in tokens] == moved_tokens


def test_transposition_maps_clip_at_the_ends_of_the_range() -> None:
    for semitones in (-100, -1, 1, 100):
        inputs, classes = CODEC.transposition_maps(semitones)
        assert len(inputs) == CODEC.width
        assert len(classes) == CODEC.classes
        assert {*inputs} <= {*range(CODEC.width)}
        pitches = classes[CODEC.first_pitch : CODEC.first_length]
        assert {*pitches} <= {*range(CODEC.first_pitch, CODEC.first_length)}
        assert pitches == sorted(pitches)


@pytest.mark.parametrize("minor", [False, True])
def test_a_late_piece_strikes_only_the_chord_it_can_end_on(minor: bool) -> None:
    context = CODEC.start(Form(16, 0, 16), Key(2, minor))
    rng = random.Random(4)
    struck: list[tuple[int, int]] = []
    while not context.done:
        forbidden = {*context.forbidden()}
        token = rng.choice([t for t in range(CODEC.classes) if t not in forbidden])
        if context.place == PITCH:
            struck.append((context.tick, context.codec.lowest + token - context.codec.first_pitch))
        context.accept(token)
    late = {(pitch - 2) % 12 for tick, pitch in struck if tick >= 16 * TICKS_PER_STEP}
    assert late <= {0, 3 if minor else 4, 7}
    assert {(pitch - 2) % 12 for tick, pitch in struck} - {0, 3, 4, 7}
