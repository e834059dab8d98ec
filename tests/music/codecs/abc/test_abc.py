"""The ABC codec: grammar, playback, parsing and formatting of tunes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from appliance.composing.stall_detector import SILENT_TICKS
from appliance.errors import UsageError
from appliance.music.codecs.abc import reader, writer
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.context import INPUTS, AbcContext
from appliance.music.codecs.abc.grammar import MAX_SECTION_BARS
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    BAR_LINES,
    CLASSES,
    END,
    REPLAY,
    TOKEN,
    VOCABULARY,
)
from appliance.music.codecs.abc.tune import MAX_NOTES_PER_REPLAY
from appliance.music.codecs.base import Cadence, Goal
from appliance.music.events import TICKS_PER_STEP, Event, NoteOn
from appliance.music.files import score_reader
from appliance.music.notes import Note, notes_from
from appliance.music.score import Form, Key
from tests.support.abc2midi import abc2midi, are_the_same
from tests.support.making_music import is_well_formed

CODEC = AbcCodec()
METERS = [(16, 0, 4), (16, 2, 4), (16, 4, 4), (12, 0, 6), (12, 2, 6), (18, 4, 6), (12, 4, 4)]
MAX_TOKENS = 6000


@st.composite
def forms(draw: st.DrawFn) -> Form:
    bar, pickup, beat = draw(st.sampled_from(METERS))
    return Form(bar, pickup, bar * draw(st.sampled_from([8, 16])), (), beat)


keys = st.builds(Key, st.integers(0, 11), st.booleans())


def drawn(form: Form, key: Key, seed: int) -> tuple[AbcContext, list[int], list[Event]]:
    """A tune drawn at random from what the grammar allows."""
    rng, context = random.Random(seed), CODEC.start(form, key)
    tokens: list[int] = []
    events: list[Event] = []
    while not context.done:
        assert len(tokens) < MAX_TOKENS, "the tune does not end"
        allowed = sorted(context.allowed_tokens())
        weights = [3 if VOCABULARY[token] in BAR_LINES else 1 for token in allowed]
        tokens += rng.choices(allowed, weights)
        events += context.accept(tokens[-1])
    return context, tokens, events


def tune(body: str, meter: str = "4/4", key: str = "C") -> str:
    return f"X:1\nT:made\nM:{meter}\nL:1/8\nK:{key}\n{body}\n"


def sounds(text: str) -> list[Note]:
    score = reader.parse(text)
    context = CODEC.start(score.form, score.key)
    return notes_from(event for token in CODEC.encode(score)[1] for event in context.accept(token))


def without_accidentals(signs: Sequence[str]) -> list[str]:
    return [sign for sign in signs if sign not in ACCIDENTALS]


EIGHT = "CDEF GABc|" * 7


# Grammar


@settings(max_examples=30, deadline=None)
@given(forms(), keys, st.lists(st.integers(0, CLASSES - 1), max_size=300))
def test_any_tokens_make_a_tune(form: Form, key: Key, tokens: list[int]) -> None:
    context = CODEC.start(form, key)
    events: list[Event] = []
    for token in tokens:
        if not context.done:
            assert 0 <= min(context.features()) <= max(context.features()) < INPUTS.width
            assert len(context.forbidden()) < CLASSES
            before = context.tick
            new = context.accept(token)
            assert all(before <= event.tick <= context.tick for event in new)
            assert len(new) <= 2 * MAX_NOTES_PER_REPLAY
            events += new
    assert is_well_formed(events + context.release_all())


@settings(max_examples=15, deadline=None)
@given(forms(), keys, st.integers(0, 2**32))
def test_every_tune_ends_in_time(form: Form, key: Key, seed: int) -> None:
    context, _, events = drawn(form, key, seed)
    late = form.steps + 2 * MAX_SECTION_BARS * form.bar_steps
    assert context.tick <= late * TICKS_PER_STEP
    assert is_well_formed(events)
    assert all(21 <= event.pitch <= 108 for event in events if isinstance(event, NoteOn))


@settings(max_examples=15, deadline=None)
@given(forms(), keys, st.integers(0, 2**32))
def test_a_formatted_tune_is_parsed_as_it_was(form: Form, key: Key, seed: int) -> None:
    context, tokens, events = drawn(form, key, seed)
    # The reader shortens a last bar that does not leave room for the upbeat.
    closed = (
        context.symbols[-1] == ":|" or context.at_ticks % context.bar_ticks == context.phase_ticks
    )
    assume(closed and context.section_start == context.phase_ticks)
    text = writer.format_tune(tokens, form, key, number=1, title="drawn", tempo_bpm=190)
    score = reader.parse(text)
    # Redundant accidentals are not read.
    assert without_accidentals(score.symbols) == without_accidentals(context.symbols)
    assert (score.key, score.form[:2]) == (key, form[:2])
    assert sounds(text) == notes_from(events)


@settings(max_examples=12, deadline=None)
@given(forms(), keys, st.integers(0, 2**32))
def test_abc2midi_reads_every_tune_and_plays_the_same_notes(
    form: Form, key: Key, seed: int
) -> None:
    _, tokens, events = drawn(form, key, seed)
    found = abc2midi(writer.format_tune(tokens, form, key, number=1, title="drawn", tempo_bpm=190))
    assert found.complaints == []
    assert are_the_same(found.notes, notes_from(events))


@settings(max_examples=12, deadline=None)
@given(forms(), keys, st.integers(0, 2**32), st.data())
def test_a_tune_that_breaks_off_is_formatted_up_to_its_last_bar(
    form: Form, key: Key, seed: int, data: st.DataObject
) -> None:
    context, tokens, _ = drawn(form, key, seed)
    bars = [n for n, token in enumerate(tokens) if VOCABULARY[token] == "|"]
    assume(bars and bars[0] < len(tokens) - 1)
    first_bar = bars[0]
    kept = tokens[: data.draw(st.integers(first_bar + 1, len(tokens) - 1))]
    text = writer.format_tune(kept, form, context.key, number=1, title="cut", tempo_bpm=190)
    assert abc2midi(text).complaints == []


@given(forms(), keys, st.integers(0, 2**32))
@settings(max_examples=10, deadline=None)
def test_silence_is_never_longer_than_the_limit(form: Form, key: Key, seed: int) -> None:
    notes = notes_from(drawn(form, key, seed)[2])
    ends = [0, *(note.start + note.length for note in notes)]
    assert all(note.start - end < SILENT_TICKS for note, end in zip(notes, ends, strict=False))


def test_rests_are_forbidden_where_it_must_sound() -> None:
    context = CODEC.start(Form(16, 0, 128), Key(0, minor=False))
    context.accept(TOKEN["major"])
    assert TOKEN["z"] not in context.forbidden()
    assert TOKEN["z"] in context.forbidden(must_sound=True)


def test_a_copy_changes_independently() -> None:
    form, key = Form(16, 2, 256), Key(2, minor=True)
    tokens = drawn(form, key, 5)[1]
    for cut in range(0, len(tokens), 7):
        context = CODEC.start(form, key)
        for token in tokens[:cut]:
            context.accept(token)
        twin, features = context.copy(), context.features()
        for token in tokens[cut : cut + 30]:
            twin.accept(token)
        assert context.features() == features
        for token in tokens[cut : cut + 30]:
            context.accept(token)
        assert context.features() == twin.features()
        assert context.tick == twin.tick


# Playback


def test_repeats_and_endings_are_played() -> None:
    endings = "|:" + "C8|" * 3 + "|1 D8:|2 E8|]"
    assert [n.pitch for n in sounds(tune(endings))] == [60, 60, 60, 62, 60, 60, 60, 64]
    twice = "|:C8|D8|C8|D8:||:E8|E8|E8|E8:|"
    assert [n.pitch for n in sounds(tune(twice))] == [60, 62, 60, 62] * 2 + [64] * 8
    implicit = "C8|C8|C8|C8:|E8|E8|E8|E8:|"
    assert len(sounds(tune(implicit))) == 16


def test_key_and_accidentals_in_the_bar_give_the_pitch() -> None:
    pitches = [note.pitch for note in sounds(tune("F2^C2=F2F2|F8|" + "C8|" * 6, key="D"))]
    assert pitches[:5] == [66, 61, 65, 65, 66]
    other_octave = [note.pitch for note in sounds(tune("^F2f2F2=f2|" + "C8|" * 7))]
    assert other_octave[:4] == [66, 78, 66, 77]
    dorian = [note.pitch for note in sounds(tune("ABcd efga|" + "A8|" * 7, key="Ador"))]
    assert dorian[:8] == [69, 71, 72, 74, 76, 78, 79, 81]


def test_broken_rhythms_triplets_and_lengths() -> None:
    notes = sounds(tune("C>D E<F (3GAB c2|d3/2e/ f4 z2|" + "C8|" * 6))
    assert [note.length for note in notes[:11]] == [
        *(360, 120, 120, 360, 160, 160, 160, 480),
        *(360, 120, 960),
    ]
    assert notes[11].start - notes[10].start == 960 + 480


def test_a_two_four_tune_in_sixteenths_is_read_as_four_four() -> None:
    fine = reader.parse("X:1\nM:2/4\nL:1/16\nK:G\n" + "GABc dedB|" * 8)
    assert fine.form.bar_steps == 16
    coarse = reader.parse("X:1\nM:2/4\nL:1/8\nK:G\n" + "GA Bc|" * 8)
    assert coarse.form.bar_steps == 8


def test_text_that_is_not_notes_is_left_out() -> None:
    plain = reader.parse(tune(EIGHT + "c8|]"))
    dressed = '"G7"~(CD)!trill!EF {g}G.ATB[Ac]|% words\nw:la la la\n' + EIGHT[10:] + "c8|]"
    assert reader.parse(tune(dressed)).symbols == plain.symbols


def test_a_last_bar_without_room_for_the_upbeat_is_shortened() -> None:
    full = reader.parse(tune("|:G|" + "CDEF GABc|" * 7 + "c8:|"))
    right = reader.parse(tune("|:G|" + "CDEF GABc|" * 7 + "c7:|"))
    assert full.symbols == right.symbols


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no tune in ABC"),
        ("T:no key\nC8|", "no tune in ABC"),
        ("X:1\nK:C\n", "no notes"),
        (tune("C8|" * 8, key="H"), "K:H is not a key"),
        (tune("C8|" * 8, meter="7/9"), "M:7/9 is not a meter"),
        (tune("C8|C7|" + "C8|" * 6), "a bar has 7 eighths instead of 8"),
        (tune("C8|C4z4|" + "C8|" * 6), "cannot follow"),
        (tune("C8|" * 3), "shorter than eight bars"),
        (tune("C8|" * 700), "too long; allowed: 624 bars"),
        (tune("C8|(5CDEFG C3|" + "C8|" * 6), "tuplets other than triplets"),
        (tune("C8|C,,,8|" + "C8|" * 6), "too high or too low"),
        (tune("C8|@8|" + "C8|" * 6), "not a symbol that Bachbox knows"),
        (tune("C8|" * 8 + "\nM:3/4\n" + "C6|" * 8), "the meter changes"),
        (tune("C8|C0/0|" + "C8|" * 6), "divided by zero"),
    ],
)
def test_a_file_that_is_no_tune_is_refused_with_a_reason(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "tune.abc"
    path.write_text(text)
    with pytest.raises(UsageError, match=why) as refused:
        CODEC.opening(score_reader.read(path))
    assert str(path) in str(refused.value)


@given(st.text(alphabet="XMLK:1234/8|[]()^_=,'<>-zABCDabcd \n\"{}!x$", max_size=200))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        CODEC.encode(reader.parse("X:1\nM:4/4\nK:G\n" + text))
    except ValueError as why:
        assert str(why)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        CODEC.opening(score_reader.read(tmp_path / "none.abc"))
    (tmp_path / "big.abc").write_bytes(b"X:1\n" * 300_000)
    with pytest.raises(UsageError, match="megabyte"):
        CODEC.opening(score_reader.read(tmp_path / "big.abc"))


# What the composer asks for


def test_the_last_phrase_begins_once() -> None:
    score = reader.parse(tune("|:" + EIGHT + "c8:||:" + EIGHT + "c8:|"))
    context = CODEC.start(score.form, score.key)
    ending = []
    for token in CODEC.encode(score)[1]:
        context.accept(token)
        if context.goal is Goal.END:
            ending.append(len([sign for sign in context.symbols if sign == "|"]))
    assert ending == [13], "two bars before the end, as it is written"


def test_cadence_of_a_tune() -> None:
    for last, close in (("GABc d4|G8|]", Cadence.OPEN), ("GABc d4|c8|]", Cadence.FULL)):
        score = reader.parse(tune("C8|" * 6 + last))
        context = CODEC.start(score.form, score.key)
        for token in CODEC.encode(score)[1]:
            context.accept(token)
        assert context.done
        assert context.cadence() == close


def test_loss_counts_are_tokens_and_characters() -> None:
    score = reader.parse(tune("|:" + EIGHT + "c8:|"))
    tokens = CODEC.encode(score)[1]
    assert tokens[-1] == TOKEN[END]
    assert tokens.count(TOKEN[REPLAY]) == 8
    assert CODEC.loss_counts(score) == (
        len(tokens) - 1,
        len("|:" + EIGHT.replace(" ", "") + "c8:|"),
    )
    assert CODEC.transpositions(score) == [0]
    assert score.transposed(2).text == score.text
