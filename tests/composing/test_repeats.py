"""Dances in two halves: each is heard twice, and everything else still holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray

from appliance.composing import composer as composing
from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.composing.repeats import AGAIN, LEFT_OUT, MARKS, Step, with_last_chord_held
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    PieceStart,
    Tokens,
)
from appliance.music.notes import Note, notes_from
from appliance.music.score import Form, PieceFacts, Tessitura
from tests.support.making_music import (
    MODELS,
    NO_CORRECTIONS,
    Noise,
    compose,
    model_file_of,
)

BAR = 12
DOUBLE_BAR = 4 * BAR
DANCE = Form(
    BAR, 0, 10 * BAR, (), 4, Tessitura(55, 88, 0.1), PieceFacts(double_bar_step=DOUBLE_BAR)
)
DOUBLE_BAR_TICK = DOUBLE_BAR * TICKS_PER_STEP


@pytest.fixture(autouse=True)
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composing, "StepModel", Noise)


@pytest.fixture(scope="module")
def dances() -> ModelFile:
    """A model that composes nothing but dances in 3/4, four bars and six."""
    shipped = model_file.load(MODELS / "strings.tflite")
    noise = model_file_of(shipped.codec, [DANCE])
    assert DANCE.tessitura is not None
    about = structs.replace(noise.metadata, facts=[DANCE.facts], tessituras=[DANCE.tessitura])
    return replace(noise, metadata=about)


def composer_of(model: ModelFile, seed: int = 1, *, repeats: bool = True) -> Composer:
    composer = Composer(model, seed=seed, repeats=repeats)
    composer.spare_steps = 100
    return composer


def one_piece(composer: Composer) -> list[Event]:
    """The events of the next piece, up to its pause."""
    events = composer.step()
    while composer.snapshot() is not None:
        events += composer.step()
    return events


def tokens_in(events: list[Event]) -> list[int]:
    return [token for event in events if isinstance(event, Tokens) for token in event.tokens]


def starts(events: list[Event], first: int, until: int) -> list[tuple[int, int, int]]:
    """Start, length and pitch of the notes that begin within a span, from its beginning."""
    begin = next(event.tick for event in events if isinstance(event, PieceStart))
    return [
        (note.start - first, note.length, note.pitch)
        for note in notes_from(events, begin)
        if first <= note.start < until
    ]


def assert_second_time(
    second: list[tuple[int, int, int]], first: list[tuple[int, int, int]], end: int
) -> None:
    """Note for note as the first time, but the notes that sound last are held until ``end``.

    Args:
        second, first: start, length and pitch of the notes, from where each time begins.
        end: where the bar ends in which the half does.
    """
    last = max(start for start, _, _ in first)
    sounded_until = max(start + length for start, length, _ in first)
    is_near = sounded_until > end - BAR * TICKS_PER_STEP
    assert second == [
        (start, end - start if is_near and start + length > last else length, pitch)
        for start, length, pitch in first
    ]


@pytest.mark.parametrize("seed", range(6))
def test_both_halves_are_heard_twice_the_second_time_with_an_ending(
    dances: ModelFile, seed: int
) -> None:
    composer = composer_of(dances, seed)
    events = one_piece(composer)
    if composer.stall_detector.give_up:
        return
    half, bar = DOUBLE_BAR_TICK, BAR * TICKS_PER_STEP
    first = starts(events, 0, half)
    assert first
    assert_second_time(starts(events, half, 2 * half), first, half)
    end = max(note.end for note in notes_from(events)) - events[0].tick
    rest = starts(events, 2 * half, end + 1)
    again = len(rest) // 2
    first, second = rest[:again], rest[again:]
    shift = second[0][0] - first[0][0]
    assert shift % bar == 0, "the beat goes on"
    assert_second_time(
        [(start - shift, length, pitch) for start, length, pitch in second], first, shift
    )
    assert tokens_in(events).count(AGAIN) > 1


def note(tick: int, length: int, pitch: int) -> tuple[Event, Event]:
    return NoteOn(tick, 0, pitch, 80), NoteOff(tick + length, 0, pitch)


def test_the_last_chord_of_a_half_is_held_and_nothing_before_it() -> None:
    upbeat, bass, chord = note(960, 480, 50), note(1440, 240, 43), note(1440, 720, 59)
    steps = [
        Step(0, 1440, upbeat),
        Step(1440, 2160, tuple(sorted([*bass, *chord], key=lambda event: event.tick))),
    ]
    ended = with_last_chord_held(steps, 2880, 1440)
    assert ended[0] == steps[0]
    assert ended[1].end_tick == 2880
    assert [event for event in ended[1].events if isinstance(event, NoteOff)] == [
        NoteOff(2880, 0, 43),
        NoteOff(2880, 0, 59),
    ]
    assert with_last_chord_held(ended, 2880, 1440) == ended, "it is held already"


def test_after_silence_nothing_is_held() -> None:
    silent = Step(480, 1920, ())
    steps = [Step(0, 480, note(0, 480, 60)), silent]
    assert with_last_chord_held(steps, 2880, 1440) == steps
    assert with_last_chord_held([silent], 2880, 1440) == [silent]


def test_nothing_sounds_over_the_double_bar(dances: ModelFile) -> None:
    composer = composer_of(dances, 2)
    for _ in range(3):
        events = one_piece(composer)
        begin = events[0].tick
        for edge in (1, 2):
            at = edge * DOUBLE_BAR_TICK
            assert not [n for n in notes_from(events, begin) if n.start < at < n.end]


@pytest.mark.parametrize("seed", range(4))
def test_without_repeats_the_same_notes_are_heard_once(dances: ModelFile, seed: int) -> None:
    twice, once = composer_of(dances, seed), composer_of(dances, seed, repeats=False)
    played, printed = one_piece(twice), one_piece(once)
    assert [t for t in tokens_in(played) if t not in MARKS] == tokens_in(printed)
    assert starts(printed, 0, DOUBLE_BAR_TICK) == starts(played, 0, DOUBLE_BAR_TICK)
    assert once.tick < twice.tick or twice.stall_detector.give_up


def test_the_setting_acts_at_the_next_double_bar(dances: ModelFile) -> None:
    composer = composer_of(dances, 1)
    events = composer.step()
    while AGAIN not in tokens_in(events):
        events += composer.step()
    composer.repeats = False
    while composer.snapshot() is not None:
        events += composer.step()
    # The repeat that had begun is finished; the second half is heard once.
    assert starts(events, DOUBLE_BAR_TICK, 2 * DOUBLE_BAR_TICK) == starts(
        events, 0, DOUBLE_BAR_TICK
    )
    marks = [token == AGAIN for token in tokens_in(events)]
    assert sum(a and not b for a, b in pairwise([*marks, False])) == 1


def test_every_step_of_a_repeat_can_be_gone_back_to(dances: ModelFile) -> None:
    composer = composer_of(dances, 3)
    compose(composer, 1)
    while composer.piece.number < 2:
        snapshot = composer.snapshot()
        if snapshot is None:
            composer.step()
            continue
        ahead = compose(composer, 3)
        composer.restore(snapshot)
        assert compose(composer, 3) == ahead
        composer.restore(snapshot)
        composer.step()


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("model", ["dances", "folk"])
def test_a_composer_takes_over_anywhere(dances: ModelFile, model: str, repeats: bool) -> None:
    """Also in the middle of a repeat; what follows is what would have followed."""
    of = dances if model == "dances" else model_file.load(MODELS / "folk.tflite")
    composer = composer_of(of, 5, repeats=repeats)
    done: list[Event] = []
    while composer.piece.number < 2 and len(done) < 1500:
        done += composer.step()
        if composer.snapshot() is None or composer.piece.number > 1 or len(done) % 7:
            continue
        other = composer_of(of, 5, repeats=repeats)
        assert other.resume(list(done), composer.tick) == []
        snapshot = composer.snapshot()
        assert snapshot is not None
        assert compose(other, 4) == compose(composer, 4), len(done)
        composer.restore(snapshot)


def test_next_piece_within_a_repeat_releases_its_notes(dances: ModelFile) -> None:
    composer = composer_of(dances, 1)
    events = composer.step()
    while tokens_in(events).count(AGAIN) < 3:
        events += composer.step()
    events += composer.next_piece()
    on = [(e.voice, e.pitch) for e in events if isinstance(e, NoteOn)]
    off = [(e.voice, e.pitch) for e in events if isinstance(e, NoteOff)]
    assert sorted(on) == sorted(off)


class OneNote:
    """A model that strikes one note again and again."""

    runtime = "puppet"

    def __init__(self, vocabulary: Sequence[str]) -> None:
        names = ("after 0", "after 480", "A4", "for 480")
        self.state = None
        self.corrections = NO_CORRECTIONS
        self._logits = np.full(len(vocabulary), -30, np.float32)
        for bonus, name in enumerate(names):
            self._logits[vocabulary.index(name)] = 30 * (bonus + 1)

    def reset(self) -> None:
        pass

    def step(self, features: list[int]) -> NDArray[np.float32]:
        del features
        return self._logits


def test_a_half_in_which_the_music_is_stuck_is_not_played_again(dances: ModelFile) -> None:
    composer = composer_of(dances, 1)
    composer.step_model = OneNote(dances.vocabulary)  # type: ignore[assignment]
    four_bars = 4 * 4 * TICKS_PER_BEAT
    for _ in range(3):
        events = one_piece(composer)
        assert composer.stall_detector.give_up
        assert AGAIN not in tokens_in(events)
        last = max(event.tick for event in events if isinstance(event, NoteOff))
        assert DOUBLE_BAR_TICK < last - events[0].tick <= four_bars


def test_a_tune_without_repeats_is_heard_once(dances: ModelFile) -> None:
    """Neither the repeats within it nor the whole tune a second or third time."""
    folk = model_file.load(MODELS / "folk.tflite")
    for seed in range(4):
        twice, once = composer_of(folk, seed), composer_of(folk, seed, repeats=False)
        played, printed = one_piece(twice), one_piece(once)
        composed = [token for token in tokens_in(printed) if token != LEFT_OUT]
        assert [token for token in tokens_in(played) if token != AGAIN] == composed
        assert AGAIN not in tokens_in(printed)
        assert LEFT_OUT not in tokens_in(played)
        if LEFT_OUT in tokens_in(printed) or AGAIN in tokens_in(played):
            assert once.tick < twice.tick
        heard = [Note(*note) for note in notes_from(printed)]
        assert all(a.end <= b.start for a, b in pairwise(heard)), "one voice, no overlap"
