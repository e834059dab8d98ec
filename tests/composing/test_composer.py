"""The composer: the same music for the same seed, and every piece complete.

What does not depend on what a model has learned is shown with ``untrained``: its logits follow
from all of its past, so that one token that differs changes all that follow.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.composing import composer as composing
from appliance.composing import passages
from appliance.composing.composer import Composer
from appliance.composing.groups import pause_after_s
from appliance.composing.model_file import ModelFile
from appliance.errors import UsageError
from appliance.music.codecs.four_part import HOLD, REST, FourPartCodec
from appliance.music.events import (
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
)
from appliance.music.expression import BREATH_TICKS
from appliance.music.score import LOWEST_PITCH, SILENT, Form, Key, Score
from tests.support.making_music import (
    OPENING,
    Noise,
    Puppet,
    chords,
    compose,
    compose_pieces,
    from_start,
    is_well_formed,
    piece_of,
    rows,
)

CHORDS = ((72, 48, 64, 67), (71, 55, 62, 67))
"""Soprano, bass, tenor, alto."""


@pytest.fixture
def untrained(shipped: ModelFile, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
    """Codec and forms of the shipped model, with random logits, and two samples a passage.

    It composes far more quickly.
    """
    monkeypatch.setattr(composing, "StepModel", Noise)
    monkeypatch.setattr(passages, "OPENING_BARS", 2)
    for samples in ("FIRST_OPENING", "OPENING", "HALF", "ENDING"):
        monkeypatch.setattr(passages, f"{samples}_SAMPLES", 2)
    return shipped


@pytest.fixture(params=["shipped", "untrained"])
def either(request: pytest.FixtureRequest) -> tuple[ModelFile, bool]:
    """A model, and whether it is the untrained one, with which more can be composed."""
    return request.getfixturevalue(request.param), request.param == "untrained"


def notes(events: list[Event]) -> list[NoteOn | NoteOff]:
    return [event for event in events if isinstance(event, NoteOn | NoteOff)]


# Seeds


def test_the_same_seed_is_the_same_music(untrained: ModelFile) -> None:
    one, other = Composer(untrained, seed=3), Composer(untrained, seed=3)
    assert compose(one, 450) == compose(other, 450)
    assert one.counts == other.counts
    assert one.counts.pieces >= 2


def test_a_runtime_repeats_itself(shipped: ModelFile, runtime: str) -> None:
    del runtime
    one, other = Composer(shipped, seed=3), Composer(shipped, seed=3)
    # Without rehearsals: tflite-runtime takes up to 35 times as long on some processors.
    one.spare_steps = other.spare_steps = 0
    assert compose(one, 24) == compose(other, 24)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**31, 2**64 + 5, -(2**80)])
def test_any_integer_is_a_seed(untrained: ModelFile, seed: int) -> None:
    composer = Composer(untrained, seed=seed)
    assert 0 <= composer.seed < 2**63
    assert compose(composer, 20) == compose(Composer(untrained, seed=composer.seed), 20)


def test_other_seeds_are_other_music(untrained: ModelFile) -> None:
    openings = {tuple(compose(Composer(untrained, seed=seed), 40)) for seed in range(12)}
    assert len(openings) == 12


def test_without_a_seed_one_is_drawn_and_shown(untrained: ModelFile) -> None:
    one, other = Composer(untrained), Composer(untrained)
    assert one.seed != other.seed
    assert compose(Composer(untrained, seed=one.seed), 30) == compose(one, 30)


def test_a_loop_over_a_composer_never_ends(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=2)
    stepped = compose_pieces(composer, 2)
    events = [event for played in stepped for event in played.events] + compose(composer, 20)
    assert list(itertools.islice(Composer(untrained, seed=2), len(events))) == events


# Snapshots


def test_a_restored_snapshot_gives_the_same_music(either: tuple[ModelFile, bool]) -> None:
    model, untrained = either
    rng, composer = random.Random(4), Composer(model, seed=4)
    for _ in range(4 if untrained else 1):
        compose(composer, rng.randrange(1, 60))
        snapshot = composer.snapshot()
        if snapshot is None:
            continue
        expected = compose(composer, 40)
        composer.temperature = 2.0
        compose(composer, rng.randrange(200))
        composer.temperature = model.temperature
        composer.restore(snapshot)
        assert compose(composer, 40) == expected
        composer.restore(snapshot)
        assert composer.tick == snapshot.tick


def test_after_a_snapshot_another_temperature_is_other_music(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=5, temperature=0.5)
    compose(composer, 40)
    snapshot = composer.snapshot()
    assert snapshot is not None
    cool = compose(composer, 60)
    composer.restore(snapshot)
    composer.temperature = 3.0
    assert compose(composer, 60) != cool


def test_a_chosen_sample_is_not_computed_twice(
    untrained: ModelFile,
) -> None:
    one, other = Composer(untrained, seed=3), Composer(untrained, seed=3)
    calls = [0, 0]
    for number, composer in enumerate((one, other)):

        def counting(
            features: list[int], number: int = number, step: Any = composer.step_model.step
        ) -> Any:
            calls[number] += 1
            return step(features)

        composer.step_model.step = counting  # type: ignore[method-assign]
    once: list[Event] = []
    twice: list[Event] = []
    while one.piece.number < 2:
        once += one.step()
        other._tokens._rehearsed.clear()
        twice += other.step()
    assert once == twice
    assert calls[0] < 0.95 * calls[1]


def test_a_changed_temperature_discards_the_chosen_sample(untrained: ModelFile) -> None:
    rehearsed = Composer(untrained, seed=3)
    while not rehearsed._tokens._rehearsed:
        rehearsed.step()
    for _ in range(3):
        rehearsed.step()
    plain = Composer(untrained, seed=3)
    while plain.tick < rehearsed.tick:
        plain.step()
    plain._tokens._rehearsed.clear()
    assert rehearsed._tokens._rehearsed
    rehearsed.temperature = plain.temperature = 2.5
    assert compose(rehearsed, 40) == compose(plain, 40)


def test_between_two_pieces_there_is_no_snapshot(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=1)
    assert composer.snapshot() is None
    compose_pieces(composer, 1)
    assert composer.snapshot() is None
    composer.step()
    assert composer.snapshot() is not None


# Resuming after a composer that died


def resumed(model_file: ModelFile, seed: int, done: list[Event], tick: int) -> Composer:
    starts = [at for at, event in enumerate(done) if isinstance(event, PieceStart)]
    composer = Composer(model_file, seed=seed)
    composer.resume(done[starts[-1] :], tick)
    return composer


@pytest.mark.parametrize("seed", [11, 12])
def test_a_resumed_composer_gives_the_same_music(untrained: ModelFile, seed: int) -> None:
    """At random places, and where a piece begins, is complete, and has ended."""
    composer = Composer(untrained, seed=seed)
    steps: list[list[Event]] = []
    ticks: list[int] = []
    ends: list[int] = []
    while len(ends) < 2 or len(steps) < ends[-1] + 60:
        steps.append(composer.step())
        ticks.append(composer.tick)
        if composer.snapshot() is None:
            ends.append(len(steps))
    places = random.Random(seed).sample(range(3, ends[-1]), 3)
    for end in ends[:1]:
        places += [end - 1, end, end + 1, end + 2]
    for place in places:
        done = [event for events in steps[:place] for event in events]
        second = resumed(untrained, seed, done, ticks[place - 1])
        assert second.tick == ticks[place - 1]
        assert second.counts.notes == 0, "the composer that died has counted them"
        for expected, tick in zip(steps[place : place + 30], ticks[place:], strict=False):
            assert second.step() == expected, place
            assert second.tick == tick


def test_a_resumed_composer_gives_the_music_of_the_shipped_model(shipped: ModelFile) -> None:
    composer = Composer(shipped, seed=11)
    done = compose(composer, 50)
    second = resumed(shipped, 11, done, composer.tick)
    assert compose(second, 30) == compose(composer, 30)


@pytest.mark.parametrize("done_before", [1, 2, 3, 30, 77])
def test_an_abandoned_piece_is_not_resumed(untrained: ModelFile, done_before: int) -> None:
    composer = Composer(untrained, seed=13)
    done = compose(composer, done_before) + composer.next_piece()
    second = resumed(untrained, 13, done, composer.tick)
    assert compose(second, 30) == compose(composer, 30)
    assert second.piece.number == 2


def test_another_model_can_resume(untrained: ModelFile) -> None:
    """The form is then another one: a longer one is continued, a shorter one is complete."""
    composer = Composer(untrained, seed=14)
    done = compose(composer, 120)
    second = resumed(untrained, 999, done, composer.tick)
    rest = compose_pieces(second, 2)
    assert is_well_formed(done + [event for played in rest for event in played.events])


# What a user asks for


def test_the_next_piece_comes_after_a_pause(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=6)
    done = compose(composer, 50)
    done += composer.next_piece()
    assert is_well_formed(done)
    last = max(event.tick for event in done if isinstance(event, NoteOff))
    first = composer.step()[0]
    assert piece_of(first).number == 2
    assert first.tick == last + BREATH_TICKS


def test_restart_gives_the_same_piece_from_its_start(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=6)
    compose_pieces(composer, 1)
    first_time = compose(composer, 60)
    composer.next_piece(restart=True)
    assert from_start(compose(composer, 60)) == from_start(first_time)
    assert composer.piece.number == 2
    composer.next_piece()
    assert piece_of(composer.step()[0]).number == 3


def test_next_piece_twice_or_between_two_pieces_is_harmless(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=6)
    assert composer.next_piece() == []
    assert composer.next_piece(restart=True) == []
    assert piece_of(composer.step()[0]).number == 1
    compose(composer, 10)
    composer.next_piece()
    tick = composer.tick
    assert composer.next_piece() == []
    assert composer.tick == tick
    assert piece_of(composer.step()[0]).number == 2


def test_another_model_begins_another_piece(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=6)
    done = compose(composer, 20) + composer.change_model(untrained)
    assert is_well_formed(done)
    assert piece_of(composer.step()[0]).number == 2


@pytest.mark.parametrize("temperature", [0.0, 0.05, 3.5, math.nan])
def test_a_temperature_out_of_range_is_refused(shipped: ModelFile, temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        Composer(shipped, temperature=temperature)


@pytest.mark.parametrize("top_p", [0.0, 1.5, math.nan])
def test_a_top_p_out_of_range_is_refused(shipped: ModelFile, top_p: float) -> None:
    with pytest.raises(UsageError, match="top-p"):
        Composer(shipped, top_p=top_p)


@pytest.mark.parametrize(("temperature", "top_p"), [(0.1, 0.05), (3.0, 1.0), (0.1, 1.0)])
def test_at_the_limits_of_the_settings_pieces_are_well_formed(
    shipped: ModelFile, temperature: float, top_p: float
) -> None:
    composer = Composer(shipped, seed=8, temperature=temperature, top_p=top_p)
    composer.spare_steps = 2 * passages.CLOSING_STEPS
    played = compose_pieces(composer, 1)
    assert is_well_formed(event for one in played for event in one.events)


# Primes


def primed(model_file: ModelFile, prime: Score = OPENING, seed: int = 9) -> Composer:
    assert isinstance(model_file.codec, FourPartCodec)
    return Composer(model_file, seed=seed, prime=model_file.codec.opening_from(prime))


def test_the_first_piece_starts_from_the_prime_and_continues(untrained: ModelFile) -> None:
    played = compose_pieces(primed(untrained), 2)
    about, events = played[0].about, played[0].events
    pitches, onsets = rows(events, played[0].end_tick)
    assert pitches[: OPENING.steps] == OPENING.pitches
    assert onsets[: OPENING.steps] == OPENING.onsets
    assert (about.tonic, about.minor) == OPENING.key
    assert is_well_formed(events)
    assert len(pitches) > 2 * OPENING.steps or played[0].given_up
    assert piece_of(played[1].events[0]).number == 2


def test_a_prime_changes_what_follows(shipped: ModelFile) -> None:
    minor = chords(*[(8, (72, 67, 63, 48)), (8, (71, 67, 62, 43))] * 2)
    after = [
        rows(compose(primed(shipped, prime), 80), 80 * TICKS_PER_STEP)[0][32:79]
        for prime in (OPENING, minor)
    ]
    assert after[0] != after[1]


def test_a_restart_starts_from_the_prime_again(untrained: ModelFile) -> None:
    composer = primed(untrained)
    first_time = compose(composer, 60)
    composer.next_piece(restart=True)
    assert from_start(compose(composer, 60)) == first_time


@pytest.mark.parametrize("place", [1, 2, 20, 33, 34, 60])
def test_resuming_a_primed_piece_is_exact_too(untrained: ModelFile, place: int) -> None:
    composer = primed(untrained)
    done = compose(composer, place)
    second = primed(untrained)
    second.resume(done, composer.tick)
    assert compose(second, 40) == compose(composer, 40)


def test_a_snapshot_within_the_prime_is_exact_too(untrained: ModelFile) -> None:
    composer = primed(untrained)
    compose(composer, 10)
    snapshot = composer.snapshot()
    assert snapshot is not None
    expected = compose(composer, 60)
    composer.restore(snapshot)
    assert compose(composer, 60) == expected


def test_the_meter_is_that_of_the_prime(untrained: ModelFile) -> None:
    prime = chords(*[(4, (72, 67, 64, 48))] * 6, bar=12)
    composer = primed(untrained, prime)
    assert piece_of(composer.step()[0]).beats_per_bar == 3
    assert is_well_formed(compose_pieces(composer, 1)[0].events)


def test_the_pickup_of_the_prime_is_kept(
    untrained: ModelFile,
) -> None:
    prime = Score(
        "pickup", OPENING.pitches[:20], OPENING.onsets[:20], Key(0, False), Form(16, 4, 20)
    )
    for seed in range(20):
        composer = primed(untrained, prime, seed)
        composer.step()
        assert composer.piece.pickup_ticks == 4 * TICKS_PER_STEP
        snapshot = composer.snapshot()
        assert snapshot is not None
        form = snapshot.context.form
        assert any(
            20 <= start < 36 and (start - 4 + drawn.pickup_steps) % 16 == 0
            for drawn in untrained.forms
            for start in [form.steps - (drawn.steps if drawn.bar_steps == 16 else 128)]
        )
        assert all(20 <= start < end <= form.steps for start, end in form.fermatas)


def test_a_long_and_busy_prime_is_written_step_by_step(untrained: ModelFile) -> None:
    """Its 4,000 events at once would not fit into the ring."""
    busy = chords(*[(1, (72 + up, 67 + up, 60 + up, 48 + up)) for up in (0, 1)] * 256)
    composer = primed(untrained, busy)
    count = 0
    for _ in range(513):
        events = composer.step()
        assert len(events) <= 12
        count += len(events)
    assert count > 4000
    assert rows(compose(primed(untrained, busy), 513), 512 * TICKS_PER_STEP)[0] == busy.pitches


def test_a_prime_is_never_a_stall(untrained: ModelFile) -> None:
    """Six bars of silence, or of one chord, are what the user wants."""
    for chord in ((SILENT,) * 4, (72, 67, 64, 48)):
        prime = chords((96, chord), (4, (72, 67, 64, 48)))
        composer = primed(untrained, prime)
        compose(composer, 101)
        assert sum(composer.interventions.values()) == 0
        assert not composer.stall_detector.give_up
        compose(composer, 8)
        assert composer.piece.number == 1


# A model that is stuck


def pause_after_ticks(model: ModelFile, piece: Piece) -> int:
    """The longest silence after a piece."""
    quarters = pause_after_s(piece) * piece.sounding_bpm(model.tempo_bpm) / 60
    return math.ceil(quarters * TICKS_PER_BEAT)


def test_a_model_that_prefers_rests_is_never_silent_for_longer_than_a_pause(
    untrained: ModelFile,
) -> None:
    composer = Composer(untrained, seed=1)
    composer.step_model = Puppet(lambda token: REST)  # type: ignore[assignment]
    sounding, silent_since, longest = 0, 0, 0
    piece: Piece | None = None
    for event in compose(composer, 1200):
        if isinstance(event, PieceStart):
            pause_ticks = pause_after_ticks(untrained, piece) if piece else 0
            assert event.tick - silent_since <= pause_ticks
            piece, silent_since = event.piece, event.tick
        if isinstance(event, NoteOn):
            longest = max(longest, 0 if sounding else event.tick - silent_since)
        if isinstance(event, NoteOn | NoteOff):
            sounding += 1 if isinstance(event, NoteOn) else -1
            silent_since = event.tick
    assert composer.interventions["silence"] > 5
    assert composer.piece.number > 5
    assert 0 < longest <= BREATH_TICKS


@pytest.mark.parametrize(
    ("name", "preferred"),
    [
        ("always holds", lambda token: HOLD),
        ("always strikes the same chord", lambda token: (72, 48, 60, 67)[token % 4] - LOWEST_PITCH),
        ("holds after one chord", lambda token: HOLD if token >= 4 else 65 - LOWEST_PITCH),
        ("loops over two chords", lambda token: CHORDS[token // 16 % 2][token % 4] - LOWEST_PITCH),
    ],
)
def test_a_stuck_model_moves_on_within_four_bars(
    untrained: ModelFile, name: str, preferred: Callable[[int], int]
) -> None:
    composer = Composer(untrained, seed=1)
    composer.step_model = Puppet(preferred)  # type: ignore[assignment]
    events = compose(composer, 800)
    assert composer.piece.number > 5, name
    assert sum(composer.interventions.values()) >= composer.piece.number - 1
    four_bars = 4 * 4 * TICKS_PER_BEAT
    starts = [at for at, event in enumerate(events) if isinstance(event, PieceStart)]
    pieces = [events[a:b] for a, b in itertools.pairwise([*starts, len(events)])]
    last_ticks = [notes(piece)[-1].tick for piece in pieces]
    longest = max(last - piece[0].tick for piece, last in zip(pieces, last_ticks, strict=True))
    assert longest <= (2 * four_bars if name == "loops over two chords" else four_bars)
    for (before, after), last in zip(itertools.pairwise(pieces), last_ticks, strict=False):
        assert after[0].tick - last <= pause_after_ticks(untrained, piece_of(before[0]))
    # Within the piece, nothing at all stands still for more than four bars.
    sounding: dict[int, int] = {}
    for event in notes(events):
        if isinstance(event, NoteOn):
            sounding[event.voice] = event.tick
        else:
            assert event.tick - sounding.pop(event.voice) <= four_bars


def test_the_piece_before_the_first_has_number_0(untrained: ModelFile) -> None:
    assert Composer(untrained, seed=1).piece == Piece(0, 0, False, 4, 0, 0)


def test_the_music_depends_on_nothing_but_the_arguments(
    untrained: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the clock nor the folder nor another random generator changes it."""
    expected = compose(Composer(untrained, seed=21), 80)
    monkeypatch.chdir(tmp_path)
    random.seed(99)
    assert compose(Composer(untrained, seed=21), 80) == expected
    assert list(tmp_path.iterdir()) == []


def test_a_key_applies_from_the_next_piece_on(untrained: ModelFile) -> None:
    composer = Composer(untrained, seed=5)
    compose(composer, 30)
    first = composer.piece
    composer.change_key(Key(4, minor=True))
    compose(composer, 10)
    assert composer.piece == first, "the piece goes on in its key"
    for _ in range(3):
        composer.next_piece()
        composer.step()
        assert (composer.piece.tonic, composer.piece.minor) == (4, True)
    composer.change_key(None)
    numbers = [composer.piece.number + n for n in range(1, 4)]
    for number in numbers:
        composer.next_piece()
        composer.step()
        plain = Composer(untrained, seed=5)._planner.piece(number, composer.tick)[0]
        assert composer.piece == plain, "as if the key had never been set"


def test_a_composer_that_takes_over_keeps_a_form_that_another_key_had_chosen(
    untrained: ModelFile,
) -> None:
    composer = Composer(untrained, seed=5, key=Key(4, minor=True))
    done = compose(composer, 60)
    second = Composer(untrained, seed=5)
    second.resume(done, composer.tick)
    assert compose(second, 30) == compose(composer, 30)
