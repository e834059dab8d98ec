"""The guard hears when music has got stuck, heats, and at last gives up; and leaves Bach alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from music21 import corpus

from appliance.composing.stall_detector import (
    COOLING_TICKS,
    FROZEN_TICKS,
    GIVE_UP_TICKS,
    LOOP_TICKS,
    MIN_TEMPERATURE,
    SILENT_TICKS,
    STUCK_TICKS,
    TROUBLES,
    StallDetector,
)
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, NoteOn
from appliance.music.codecs.four_part_conversion import to_four_parts
from appliance.music.files.musicxml_reader import from_music21
from tests.support.making_music import events_of

Step = Callable[[int], list[Event]]


def chord(tick: int, pitches: tuple[int, ...] = (72, 67, 64, 48)) -> list[Event]:
    return [NoteOn(tick, voice, pitch, 80) for voice, pitch in enumerate(pitches)]


def moving(tick: int, voices: tuple[int, ...] = (0, 1, 2, 3)) -> list[Event]:
    """Notes that never come again in the same order."""
    step = tick // TICKS_PER_STEP
    found = []
    for voice in voices:
        if step:
            found.append(NoteOff(tick, voice, pitch_at(step - 1, voice)))
        found.append(NoteOn(tick, voice, pitch_at(step, voice), 80))
    return found


def pitch_at(step: int, voice: int) -> int:
    return 40 + (step * step + 7 * voice * step + step // 5) % 31


def hear(guard: StallDetector, step: Step, ticks: int, start: int = 0) -> int:
    """Let the guard hear so much; the first tick at which it is in trouble, or -1."""
    first = -1
    for tick in range(start, start + ticks, TICKS_PER_STEP):
        guard.hear(tick, tick + TICKS_PER_STEP, step(tick))
        if guard.trouble and first < 0:
            first = tick
    return first


def gave_up(guard: StallDetector) -> bool:
    return guard.give_up


def frozen(tick: int) -> list[Event]:
    return [] if tick else chord(0)


def struck_again(tick: int) -> list[Event]:
    offs = [NoteOff(tick, e.voice, e.pitch) for e in chord(tick)] if tick else []
    return offs + chord(tick)


def stuck_bass(tick: int) -> list[Event]:
    return moving(tick, (0, 1, 2)) + ([] if tick else [NoteOn(0, 3, 48, 80)])


def silence(tick: int) -> list[Event]:
    del tick
    return []


def loop(tick: int) -> list[Event]:
    """Two beats of notes, over and over."""
    step, before = tick // TICKS_PER_STEP % 8, (tick // TICKS_PER_STEP - 1) % 8
    offs = [NoteOff(tick, voice, 60 + before + voice) for voice in range(4)] if tick else []
    return offs + [NoteOn(tick, voice, 60 + step + voice, 80) for voice in range(4)]


@pytest.mark.parametrize(
    ("step", "name", "after"),
    [
        (frozen, "frozen", FROZEN_TICKS),
        (struck_again, "frozen", FROZEN_TICKS),
        (silence, "silence", SILENT_TICKS),
        (stuck_bass, "stuck", STUCK_TICKS),
        (loop, "loop", LOOP_TICKS),
    ],
)
def test_trouble_is_noticed_counted_once_heated_and_given_up(
    step: Step, name: str, after: int
) -> None:
    guard = StallDetector()
    guard.new_piece(0)
    first = hear(guard, step, after + GIVE_UP_TICKS - TICKS_PER_STEP)
    assert guard.trouble == name
    assert after - TICKS_PER_STEP <= first <= after + 16 * TICKS_PER_STEP
    assert guard.cures == {name: 1}
    heats = [guard.temperature(1.0, first), guard.temperature(1.0, first + GIVE_UP_TICKS)]
    assert heats[0] > 1.0
    assert not gave_up(guard)
    hear(guard, step, GIVE_UP_TICKS, start=after + GIVE_UP_TICKS - TICKS_PER_STEP)
    assert gave_up(guard)
    assert guard.cures == {name: 1}


def test_the_heat_grows_while_the_trouble_lasts() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    seen = []
    for tick in range(0, FROZEN_TICKS + GIVE_UP_TICKS, TICKS_PER_STEP):
        guard.hear(tick, tick + TICKS_PER_STEP, frozen(tick))
        seen.append(guard.temperature(0.9, tick))
    assert seen == sorted(seen)
    assert seen[0] == 0.9
    assert seen[-1] > 2 * seen[0]


def test_a_cold_model_is_heated_enough() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    first = hear(guard, frozen, FROZEN_TICKS + TICKS_PER_STEP)
    assert guard.temperature(0.1, first) > MIN_TEMPERATURE


def test_after_the_cure_it_cools_down_and_a_second_trouble_counts() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    start = FROZEN_TICKS + TICKS_PER_STEP
    hear(guard, frozen, start)
    offs = [NoteOff(start, e.voice, e.pitch) for e in chord(0)]
    guard.hear(start, start + TICKS_PER_STEP, offs + chord(start, (70, 65, 62, 46)))
    assert guard.trouble is None
    assert guard.temperature(1.0, start) > 1.0
    assert guard.temperature(1.0, start + COOLING_TICKS + TICKS_PER_STEP) == 1.0
    hear(guard, silence, FROZEN_TICKS, start=start + TICKS_PER_STEP)
    assert guard.cures == {"frozen": 2}


def test_a_new_piece_is_heard_afresh_but_what_was_counted_stays() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    hear(guard, frozen, FROZEN_TICKS + GIVE_UP_TICKS + TICKS_PER_STEP)
    assert gave_up(guard)
    start = 10 * FROZEN_TICKS
    guard.new_piece(start)
    assert not gave_up(guard)
    assert guard.trouble is None
    assert guard.temperature(0.7, start) == 0.7
    assert guard.cures == {"frozen": 1}
    assert hear(guard, silence, SILENT_TICKS - TICKS_PER_STEP, start=start) == -1


def test_a_copy_goes_its_own_way_but_counts_with_the_first() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    hear(guard, frozen, FROZEN_TICKS)
    twin = guard.copy()
    hear(twin, silence, GIVE_UP_TICKS + TICKS_PER_STEP, start=FROZEN_TICKS)
    assert twin.give_up
    assert not gave_up(guard)
    assert guard.trouble is None
    assert guard.cures == twin.cures == {"frozen": 1}


def test_what_is_not_judged_is_no_trouble_yet_remembered() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    for tick in range(0, 2 * FROZEN_TICKS, TICKS_PER_STEP):
        guard.hear(tick, tick + TICKS_PER_STEP, frozen(tick), judged=False)
    assert not guard.cures
    assert hear(guard, silence, FROZEN_TICKS - TICKS_PER_STEP, start=2 * FROZEN_TICKS) == -1
    hear(guard, silence, 2 * TICKS_PER_STEP, start=3 * FROZEN_TICKS - TICKS_PER_STEP)
    assert guard.trouble == "frozen", "the chord still sounds"


def test_music_that_moves_is_left_alone() -> None:
    guard = StallDetector()
    guard.new_piece(0)
    assert hear(guard, moving, 400 * TICKS_PER_STEP) == -1
    assert not guard.cures


@pytest.mark.parametrize("name", ["bach/bwv66.6", "bach/bwv269", "bach/bwv253"])
def test_bach_is_left_alone(name: str) -> None:
    score = to_four_parts(from_music21(corpus.parse(name), name))
    guard = StallDetector()
    guard.new_piece(0)
    events = events_of(score)[1:]
    for tick in range(0, score.steps * TICKS_PER_STEP, TICKS_PER_STEP):
        now = [event for event in events if event.tick == tick]
        guard.hear(tick, tick + TICKS_PER_STEP, now)
        assert guard.trouble is None, tick
        assert guard.temperature(0.9, tick) == 0.9


def test_every_trouble_has_its_name() -> None:
    assert set(TROUBLES) == {"frozen", "loop", "stuck", "silence"}
