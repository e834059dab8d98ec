"""The stall detector: what it notices, what it does about it, and that it leaves Bach alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from music21 import corpus

from appliance.composing.stall_detector import (
    COOLING_TICKS,
    FROZEN_TICKS,
    GIVE_UP_TICKS,
    LOOP_TICKS,
    MIN_TEMPERATURE,
    SILENT_TICKS,
    STALLS,
    STUCK_TICKS,
    StallDetector,
)
from appliance.music.codecs.four_part_conversion import to_four_parts
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, NoteOn, TempoFactor
from appliance.music.files import musicxml_reader
from tests.support.making_music import events_of

Step = Callable[[int], list[Event]]


def chord(tick: int, pitches: tuple[int, ...] = (72, 67, 64, 48)) -> list[NoteOn]:
    return [NoteOn(tick, voice, pitch, 80) for voice, pitch in enumerate(pitches)]


def moving(tick: int, voices: tuple[int, ...] = (0, 1, 2, 3)) -> list[Event]:
    """Notes that never repeat in the same order."""
    step = tick // TICKS_PER_STEP
    found: list[Event] = []
    for voice in voices:
        if step:
            found.append(NoteOff(tick, voice, pitch_at(step - 1, voice)))
        found.append(NoteOn(tick, voice, pitch_at(step, voice), 80))
    return found


def pitch_at(step: int, voice: int) -> int:
    return 40 + (step * step + 7 * voice * step + step // 5) % 31


def play(detector: StallDetector, step: Step, ticks: int, start: int = 0) -> int:
    """Update the detector for ``ticks``; return the first tick at which it sees a stall, or -1."""
    first = -1
    for tick in range(start, start + ticks, TICKS_PER_STEP):
        detector.update(tick, tick + TICKS_PER_STEP, step(tick))
        if detector.stall and first < 0:
            first = tick
    return first


def gave_up(detector: StallDetector) -> bool:
    return detector.give_up


def frozen(tick: int) -> list[Event]:
    return [] if tick else [*chord(0)]


def struck_again(tick: int) -> list[Event]:
    offs = [NoteOff(tick, e.voice, e.pitch) for e in chord(tick)] if tick else []
    return [*offs, *chord(tick)]


def stuck_bass(tick: int) -> list[Event]:
    return moving(tick, (0, 1, 2)) + ([] if tick else [NoteOn(0, 3, 48, 80)])


def silence(tick: int) -> list[Event]:
    del tick
    return []


def silence_that_slows_down(tick: int) -> list[Event]:
    return [TempoFactor(tick, 990 - tick % 90)]


def loop(tick: int) -> list[Event]:
    """Two beats of notes, over and over."""
    step, before = tick // TICKS_PER_STEP % 8, (tick // TICKS_PER_STEP - 1) % 8
    offs = [NoteOff(tick, voice, 60 + before + voice) for voice in range(4)] if tick else []
    return [*offs, *(NoteOn(tick, voice, 60 + step + voice, 80) for voice in range(4))]


@pytest.mark.parametrize(
    ("step", "name", "after"),
    [
        (frozen, "frozen", FROZEN_TICKS),
        (struck_again, "frozen", FROZEN_TICKS),
        (silence, "silence", SILENT_TICKS),
        (silence_that_slows_down, "silence", SILENT_TICKS),
        (stuck_bass, "stuck", STUCK_TICKS),
        (loop, "loop", LOOP_TICKS),
    ],
)
def test_a_stall_is_counted_once_raises_the_temperature_and_ends_the_piece(
    step: Step, name: str, after: int
) -> None:
    detector = StallDetector()
    detector.new_piece(0)
    first = play(detector, step, after + GIVE_UP_TICKS - TICKS_PER_STEP)
    assert detector.stall == name
    assert after - TICKS_PER_STEP <= first <= after + 16 * TICKS_PER_STEP
    assert detector.interventions == {name: 1}
    boosts = [detector.boosted(1.0, first), detector.boosted(1.0, first + GIVE_UP_TICKS)]
    assert boosts[0] > 1.0
    assert not gave_up(detector)
    play(detector, step, GIVE_UP_TICKS, start=after + GIVE_UP_TICKS - TICKS_PER_STEP)
    assert gave_up(detector)
    assert detector.interventions == {name: 1}


def test_the_temperature_rises_while_the_stall_lasts() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    seen = []
    for tick in range(0, FROZEN_TICKS + GIVE_UP_TICKS, TICKS_PER_STEP):
        detector.update(tick, tick + TICKS_PER_STEP, frozen(tick))
        seen.append(detector.boosted(0.9, tick))
    assert seen == sorted(seen)
    assert seen[0] == 0.9
    assert seen[-1] > 2 * seen[0]


def test_a_boost_starts_from_a_minimum_temperature() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    first = play(detector, frozen, FROZEN_TICKS + TICKS_PER_STEP)
    assert detector.boosted(0.1, first) > MIN_TEMPERATURE


def test_the_boost_ends_after_the_stall_and_a_second_stall_counts() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    start = FROZEN_TICKS + TICKS_PER_STEP
    play(detector, frozen, start)
    offs = [NoteOff(start, e.voice, e.pitch) for e in chord(0)]
    detector.update(start, start + TICKS_PER_STEP, [*offs, *chord(start, (70, 65, 62, 46))])
    assert detector.stall is None
    assert detector.boosted(1.0, start) > 1.0
    assert detector.boosted(1.0, start + COOLING_TICKS + TICKS_PER_STEP) == 1.0
    play(detector, silence, FROZEN_TICKS, start=start + TICKS_PER_STEP)
    assert detector.interventions == {"frozen": 2}


def test_a_new_piece_resets_all_but_the_counts() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    play(detector, frozen, FROZEN_TICKS + GIVE_UP_TICKS + TICKS_PER_STEP)
    assert gave_up(detector)
    start = 10 * FROZEN_TICKS
    detector.new_piece(start)
    assert not gave_up(detector)
    assert detector.stall is None
    assert detector.boosted(0.7, start) == 0.7
    assert detector.interventions == {"frozen": 1}
    assert play(detector, silence, SILENT_TICKS - TICKS_PER_STEP, start=start) == -1


def test_a_copy_is_independent_but_shares_the_counts() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    play(detector, frozen, FROZEN_TICKS)
    twin = detector.copy()
    play(twin, silence, GIVE_UP_TICKS + TICKS_PER_STEP, start=FROZEN_TICKS)
    assert twin.give_up
    assert not gave_up(detector)
    assert detector.stall is None
    assert detector.interventions == twin.interventions == {"frozen": 1}


def test_music_that_is_not_judged_is_no_stall_but_is_remembered() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    for tick in range(0, 2 * FROZEN_TICKS, TICKS_PER_STEP):
        detector.update(tick, tick + TICKS_PER_STEP, frozen(tick), judged=False)
    assert not detector.interventions
    assert play(detector, silence, FROZEN_TICKS - TICKS_PER_STEP, start=2 * FROZEN_TICKS) == -1
    play(detector, silence, 2 * TICKS_PER_STEP, start=3 * FROZEN_TICKS - TICKS_PER_STEP)
    assert detector.stall == "frozen", "the chord still sounds"


def test_moving_music_is_no_stall() -> None:
    detector = StallDetector()
    detector.new_piece(0)
    assert play(detector, moving, 400 * TICKS_PER_STEP) == -1
    assert not detector.interventions


@pytest.mark.parametrize("name", ["bach/bwv66.6", "bach/bwv269", "bach/bwv253"])
def test_chorales_of_bach_are_no_stall(name: str) -> None:
    score = to_four_parts(musicxml_reader.read(Path(corpus.getWork(name))))
    detector = StallDetector()
    detector.new_piece(0)
    events = events_of(score)[1:]
    for tick in range(0, score.steps * TICKS_PER_STEP, TICKS_PER_STEP):
        now = [event for event in events if event.tick == tick]
        detector.update(tick, tick + TICKS_PER_STEP, now)
        assert detector.stall is None, tick
        assert detector.boosted(0.9, tick) == 0.9


def test_the_kinds_of_stall() -> None:
    assert set(STALLS) == {"frozen", "loop", "stuck", "silence"}
