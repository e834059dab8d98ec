"""The sleep timer: what ends it, what it outlives, and how it goes with the rest of the clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.daemon.clock import FADE_S
from tests.support.timed_box import DAY_S, HOUR_S, MINUTE_S
from tests.support.timed_box import TimedBox as Box


def test_the_sleep_timer_counts_down_fades_out_and_pauses() -> None:
    box = Box()
    box.settings.change("sleep", 20)
    box.wait(10.5 * MINUTE_S)
    assert box.settings.requested.sleep == 10
    box.wait(8.5 * MINUTE_S)
    assert (box.plays(), box.volume) == (True, 70)
    box.wait(30)
    assert (box.plays(), box.volume, box.settings.requested.sleep) == (True, 35, 1)
    box.wait(30)
    assert (box.plays(), box.settings.requested.sleep) == (False, 0)
    assert box.settings.requested.volume == 70, "the setting is what it was"
    assert box.volume == 0, "what dies away does not become louder"
    box.settings.change("playing", True)
    assert box.volume == 70


def test_the_sleep_timer_runs_on_through_a_pause() -> None:
    box = Box()
    box.settings.change("sleep", 20)
    box.wait(5 * MINUTE_S)
    box.settings.change("playing", False)
    box.wait(6.5 * MINUTE_S)
    assert (box.plays(), box.settings.requested.sleep) == (False, 9)
    box.settings.change("playing", True)
    assert (box.volume, box.settings.requested.sleep) == (70, 9)
    box.wait(8 * MINUTE_S)
    assert (box.plays(), box.volume) == (True, 35)
    box.wait(MINUTE_S)
    assert (box.plays(), box.settings.requested.sleep) == (False, 0)


def test_after_a_sleep_timer_that_ends_in_a_pause_nothing_plays_until_somebody_asks() -> None:
    box = Box()
    box.settings.change("sleep", 20)
    box.settings.change("playing", False)
    box.wait(21 * MINUTE_S)
    assert (box.plays(), box.settings.requested.sleep) == (False, 0)
    box.wait(DAY_S, 60)
    assert not box.plays()
    box.settings.change("playing", True)
    assert (box.plays(), box.volume) == (True, 70)
    box.wait(5 * HOUR_S, 30)
    assert (box.plays(), box.volume) == (True, 70)


@pytest.mark.parametrize("commands", [["on"], ["toggle", "toggle"], ["off", "on"]])
def test_who_asks_for_music_while_it_fades_ends_the_sleep_timer(commands: list[str]) -> None:
    box = Box()
    box.settings.change("sleep", 2)
    box.wait(80)
    for command in commands:
        box.settings.change("playing", command)
    assert (box.settings.requested.sleep, box.volume) == (0, 70)
    box.wait(5 * MINUTE_S)
    assert (box.plays(), box.volume) == (True, 70)


def test_a_play_that_changes_nothing_leaves_the_sleep_timer_alone() -> None:
    box = Box()
    box.settings.change("sleep", 2)
    box.wait(30)
    box.settings.change("playing", True)
    box.wait(91)
    assert not box.plays()


def test_a_sleep_timer_that_is_turned_off_while_it_fades_lets_the_music_play() -> None:
    box = Box()
    box.settings.change("sleep", 1)
    box.wait(40)
    box.settings.change("sleep", 0)
    assert box.volume == 70
    box.wait(5 * MINUTE_S)
    assert box.plays()


def test_what_is_paused_while_it_fades_does_not_become_louder_as_it_dies_away() -> None:
    for settings, seconds in (({"sleep": 1.0}, 30), ({"stop_time": "20:01"}, 90)):
        box = Box()
        box.settings.change_all(settings)
        box.wait(seconds)
        assert box.volume == 35
        box.settings.change("playing", False)
        box.wait(1)
        assert 0 < box.volume <= 35
        box.wait(2 * MINUTE_S)
        assert not box.plays()
        box.settings.change("playing", True)
        assert box.volume == 70


def test_the_sleep_timer_is_set_on_a_paused_box_for_music_that_is_started_later() -> None:
    box = Box(playing=False)
    box.settings.change("sleep", 10)
    box.wait(5 * MINUTE_S)
    assert not box.plays(), "it starts nothing"
    box.settings.change("playing", True)
    box.wait(6 * MINUTE_S)
    assert not box.plays()


def test_one_command_sets_the_timer_and_starts_the_music() -> None:
    box = Box(playing=False)
    box.settings.change_all({"playing": True, "sleep": 0.5})
    assert (box.plays(), box.volume) == (True, 70)
    box.wait(31)
    assert not box.plays()


def test_a_sleep_timer_can_be_lengthened_while_it_fades() -> None:
    box = Box()
    box.settings.change("sleep", 1)
    box.wait(50)
    box.settings.change("sleep", "+5")
    assert (box.settings.requested.sleep, box.volume) == (6, 70)
    box.wait(5.5 * MINUTE_S)
    assert (box.plays(), box.volume) == (True, 35)


def test_half_a_minute_of_sleep_fades_from_where_the_volume_is() -> None:
    box = Box()
    box.settings.change("sleep", 0.5)
    assert box.volume == 70
    box.wait(15)
    assert box.volume == 35
    box.wait(15)
    assert not box.plays()


@given(jumps=st.lists(st.integers(-400 * DAY_S, 400 * DAY_S), max_size=8))
def test_a_clock_that_is_set_does_not_change_the_sleep_timer(jumps: list[int]) -> None:
    box = Box()
    box.settings.change("sleep", 4)
    for n in range(8):
        box.now_s += jumps[n] if n < len(jumps) else 0
        box.wait(29, 29)
        assert box.plays()
    box.wait(8, 8)
    assert not box.plays()


@pytest.mark.parametrize("minutes", [5, 70])
def test_what_the_sleep_timer_ends_stays_paused_whether_quiet_hours_begin_before_or_after(
    minutes: int,
) -> None:
    box = Box("2026-11-30 21:30", quiet_hours="22:00-07:00")
    box.settings.change("sleep", minutes)
    box.wait_until("2026-11-30 22:30")
    assert (box.plays(), box.settings.requested.sleep) == (False, max(0, minutes - 60))
    box.wait_until("2026-11-30 23:00")
    assert (box.plays(), box.settings.requested.sleep) == (False, 0)
    assert not box.settings.passing, "a restart leaves it paused"
    box.wait_until("2026-12-01 08:00")
    assert not box.plays()


def test_music_continues_after_quiet_hours_for_what_is_left_of_the_sleep_timer() -> None:
    box = Box("2026-11-30 21:00", quiet_hours="22:00-23:00")
    box.settings.change("sleep", 150)
    box.wait_until("2026-11-30 23:00:05")
    assert (box.plays(), box.volume, box.settings.requested.sleep) == (True, 70, 30)
    box.wait_until("2026-11-30 23:31")
    assert not box.plays()


def test_a_sleep_timer_that_is_set_while_quiet_hours_fade_the_music_out_lets_it_play_so_long() -> (
    None
):
    box = Box(quiet_hours="22:00-07:00")
    box.wait_until("2026-11-30 22:00:30")
    box.settings.change("sleep", 20)
    assert box.volume == 70
    box.wait_until("2026-11-30 22:19")
    assert box.plays()
    box.wait_until("2026-12-01 08:00")
    assert not box.plays()


def test_the_wake_up_ends_a_sleep_timer_that_is_still_running() -> None:
    box = Box("2026-12-01 06:30", wake_time="07:00", wake_rise=0.0)
    box.settings.change("sleep", 60)
    box.settings.change("playing", False)
    box.wait_until("2026-12-01 07:00:10")
    assert (box.plays(), box.settings.requested.sleep) == (True, 0)
    box.wait_until("2026-12-01 08:00")
    assert (box.plays(), box.volume) == (True, 70)


def test_setting_the_sleep_timer_does_not_end_the_slow_rise() -> None:
    box = Box("2026-12-01 06:59", playing=False, wake_time="07:00", wake_rise=10.0)
    box.wait_until("2026-12-01 07:05")
    box.settings.change("sleep", 30)
    assert box.volume == pytest.approx(35, abs=1)


_commands = st.lists(
    st.tuples(
        st.sampled_from(
            [{"playing": True}, {"playing": False}, {"sleep": 7}, {"sleep": 0}, {"sleep": "+5"}]
        ),
        st.integers(0, 10 * MINUTE_S),
    ),
    max_size=8,
)


@given(commands=_commands, hours=st.sampled_from(["off", "20:05-20:20", "19:00-21:00"]))
def test_whatever_is_asked_for_silence_comes_only_from_a_pause_and_a_timer_ends_music(
    commands: list[tuple[dict[str, Any], int]], hours: str
) -> None:
    box = Box(quiet_hours=hours)
    for command, wait_s in commands:
        box.settings.change_all(command)
        box.wait(wait_s, 13)
        assert 0 <= box.volume <= 70
    sleep = box.settings.requested.sleep
    box.wait(60 * sleep + FADE_S, 13)
    assert box.settings.requested.sleep == 0
    if sleep:
        assert not box.plays()
        box.wait(2 * HOUR_S, 60)
        assert not box.plays(), "and nothing else wakes it"
    elif box.plays():
        assert box.volume == 70
