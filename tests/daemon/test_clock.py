"""Quiet hours, wake-up and stop: with clocks that are set, and others that are not."""

from __future__ import annotations

import datetime
import itertools
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.daemon.clock import FADE_S, MAX_LATE_S, Appointment
from appliance.state.scenes import Scenes
from tests.support.timed_box import BERLIN, DAY_S, HOUR_S, MINUTE_S
from tests.support.timed_box import TimedBox as Box

# Quiet hours ------------------------------------------------------------------------------


def test_quiet_hours_pause_the_music_and_let_it_continue() -> None:
    box = Box(quiet_hours="22:00-07:00")
    box.wait_until("2026-11-30 22:00:30")
    assert (box.plays(), box.volume) == (True, 35)
    box.wait_until("2026-12-01 06:59:50")
    assert not box.plays()
    assert "playing" in box.settings.passing, "a restart does not forget that it played"
    box.wait_until("2026-12-01 07:00:05")
    assert (box.plays(), box.volume) == (True, 70)


def test_music_that_was_paused_by_a_person_stays_paused() -> None:
    box = Box(quiet_hours="22:00-07:00")
    box.settings.change("playing", False)
    box.wait_until("2026-12-01 08:00")
    assert not box.plays()


def test_music_that_a_person_starts_in_quiet_hours_plays_on() -> None:
    box = Box(quiet_hours="22:00-07:00")
    box.wait_until("2026-11-30 23:00")
    box.settings.change("playing", True)
    assert not box.settings.passing
    box.wait_until("2026-12-01 06:00")
    assert box.plays()
    box.settings.change("playing", False)
    box.wait_until("2026-12-01 08:00")
    assert not box.plays(), "and what a person paused stays paused"


def test_playing_on_is_asked_for_while_quiet_hours_fade_the_music_out() -> None:
    box = Box(quiet_hours="22:00-07:00")
    box.wait_until("2026-11-30 22:00:40")
    assert (box.volume < 70, box.settings.requested.sleep) == (True, 0)
    box.settings.change("playing", True)
    assert box.volume == 70
    box.wait_until("2026-12-01 08:00")
    assert box.plays()


def test_a_box_that_starts_in_quiet_hours_makes_no_sound() -> None:
    box = Box("2026-11-30 23:00", quiet_hours="22:00-07:00")
    assert not box.plays()
    box.wait_until("2026-12-01 07:01")
    assert box.plays()


def test_in_quiet_hours_the_music_may_be_soft_instead() -> None:
    box = Box(quiet_hours="22:00-07:00", quiet_volume=20.0)
    box.wait_until("2026-11-30 22:00:30")
    assert 20 < box.volume <= 70, "it glides"
    box.wait_until("2026-11-30 22:02")
    assert (box.plays(), box.volume, box.settings.requested.volume) == (True, 20, 70)
    box.settings.change("volume", 10)
    assert box.volume == 10
    box.settings.change("volume", 90)
    box.wait_until("2026-12-01 07:02")
    assert box.volume == 90


def test_quiet_hours_end_when_they_are_taken_away() -> None:
    box = Box("2026-11-30 23:00", quiet_hours="22:00-07:00")
    box.settings.change("quiet_hours", "off")
    box.wait(2)
    assert box.plays()
    box.settings.change("quiet_hours", "22:00-07:00")
    box.wait(2 * MINUTE_S)
    assert not box.plays()
    box.settings.change("quiet_volume", 30)
    box.wait(2)
    assert (box.plays(), box.volume <= 70) == (True, True)


def test_a_box_whose_clock_was_wrong_at_its_start_plays_when_the_clock_is_set() -> None:
    box = Box("2026-11-30 23:00", quiet_hours="22:00-07:00")
    assert not box.plays()
    box.set_clock("2026-12-01 15:00")
    box.wait(2)
    assert box.plays()
    box.set_clock("2026-12-01 23:30")
    box.wait(2 * MINUTE_S)
    assert not box.plays()


_jumps = st.lists(
    st.tuples(st.integers(-3 * DAY_S, 3 * DAY_S), st.integers(1, 3 * HOUR_S)), max_size=6
)


@given(start_s=st.integers(1_774_000_000, 1_806_000_000), jumps=_jumps)
def test_after_any_jumps_it_is_quiet_in_quiet_hours_and_plays_outside(
    start_s: int, jumps: list[tuple[int, int]]
) -> None:
    box = Box(quiet_hours="22:00-07:00")
    box.now_s = float(start_s)
    for jump_s, wait_s in [(0, 1), *jumps]:
        box.now_s += jump_s
        box.wait(wait_s, 1200)
        box.wait(2 * FADE_S, FADE_S / 2)
        hour = datetime.datetime.fromtimestamp(box.now_s, BERLIN).hour
        at_start = datetime.datetime.fromtimestamp(box.now_s - 2 * FADE_S, BERLIN).hour
        if hour == at_start:
            assert box.plays() is (7 <= hour < 22)
            assert box.settings.requested.volume == 70
            assert not box.plays() or box.volume == 70


# Wake-up and stop -------------------------------------------------------------------------


def test_the_music_wakes_people_softly() -> None:
    box = Box("2026-12-01 06:50", playing=False, wake_time="07:00", wake_rise=10.0)
    box.wait_until("2026-12-01 06:59:59")
    assert not box.plays()
    box.wait_until("2026-12-01 07:05")
    assert box.plays()
    assert box.volume == pytest.approx(35, abs=1)
    box.wait_until("2026-12-01 07:11")
    assert (box.volume, box.settings.requested.volume) == (70, 70)


def test_no_loud_moment_comes_before_the_rise() -> None:
    box = Box("2026-12-01 06:59", playing=False, wake_time="07:00")
    heard: list[float] = []
    box.settings.observe(lambda _requested, _changed: heard.append(box.volume))
    box.wait(2 * MINUTE_S)
    assert heard == [0]


def test_wake_up_wins_over_quiet_hours_and_leaves_music_that_plays_as_it_is() -> None:
    box = Box("2026-12-01 05:00", quiet_hours="22:00-07:00", wake_time="06:00", wake_rise=0.0)
    box.wait_until("2026-12-01 06:01")
    assert (box.plays(), box.volume) == (True, 70)
    box.settings.change("wake_time", "06:30")
    box.wait_until("2026-12-01 06:30:10")
    assert box.volume == 70


def test_the_wake_up_chooses_a_scene(tmp_path: Path) -> None:
    box = Box("2026-12-01 06:59", playing=False, wake_time="07:00", wake_scene="Tea")
    Scenes(tmp_path / "scenes.json", box.settings).save("Tea", {"tempo": 66})
    box.wait(2 * MINUTE_S)
    assert (box.plays(), box.settings.requested.tempo) == (True, 66)


def test_a_scene_that_is_gone_does_not_keep_the_music_from_waking(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    box = Box("2026-12-01 06:59", playing=False, wake_time="07:00", wake_scene="Tea")
    Scenes(tmp_path / "scenes.json", box.settings)
    box.wait(2 * MINUTE_S)
    assert box.plays()
    assert "wake-up: there is no scene 'Tea'" in caplog.text


def test_the_music_wakes_on_the_chosen_days_alone() -> None:
    # Monday, 30 November 2026.
    box = Box("2026-11-30 06:00", playing=False, wake_time="07:00 Tue Sat Sun")
    woken = []
    for day in range(7):
        box.wait(2 * HOUR_S, 30)
        if box.plays():
            woken.append(day)
        box.settings.change("playing", False)
        box.wait(22 * HOUR_S, 60)
    assert woken == [1, 5, 6]


def test_a_wake_up_that_is_set_when_its_time_is_over_is_for_tomorrow() -> None:
    box = Box("2026-12-01 07:02", playing=False)
    box.settings.change("wake_time", "07:00")
    box.wait_until("2026-12-02 06:59:50")
    assert not box.plays()
    box.wait_until("2026-12-02 07:00:10")
    assert box.plays()


def test_a_wake_up_counts_from_the_moment_at_which_it_is_set() -> None:
    box = Box("2026-12-01 06:59:59", playing=False)
    box.settings.change("wake_time", "07:00")
    box.set_clock("2026-12-01 07:00:01")
    box.clock.update()
    assert box.plays()


def test_the_music_stops_by_the_clock() -> None:
    box = Box("2026-12-01 17:59", stop_time="18:00 Mon Tue Wed Thu Fri")
    box.wait_until("2026-12-01 18:00:30")
    assert (box.plays(), box.volume) == (True, 35)
    box.wait_until("2026-12-01 18:02")
    assert not box.plays()
    assert not box.settings.passing, "a restart leaves it paused"


def test_what_stops_by_the_clock_does_not_continue_after_quiet_hours() -> None:
    for quiet_hours in ("17:00-20:00", "18:00-20:00"):
        box = Box("2026-12-01 16:59", quiet_hours=quiet_hours, stop_time="18:00")
        box.wait_until("2026-12-01 18:02")
        assert not box.plays()
        assert not box.settings.passing
        box.wait_until("2026-12-01 21:00")
        assert not box.plays()


def local(now: str, *, fold: int = 0) -> float:
    moment = datetime.datetime.fromisoformat(now).replace(tzinfo=BERLIN, fold=fold)
    return moment.timestamp()


def due_moments(at: str, begin_s: float, end_s: float, step_s: float = 60.0) -> list[float]:
    appointment, found, now_s = Appointment(), list[float](), begin_s
    while now_s < end_s:
        if appointment.is_due(at, now_s, BERLIN):
            found.append(now_s)
        now_s += step_s
    return found


def test_daylight_saving_neither_loses_nor_doubles_an_appointment() -> None:
    # 2:30 is left out on 29 March 2026 and comes twice on 25 October.
    spring = due_moments("02:30", local("2026-03-27 12:00"), local("2026-03-31 12:00"))
    assert spring == [
        local("2026-03-28 02:30"), local("2026-03-29 03:30"), local("2026-03-30 02:30"),
        local("2026-03-31 02:30"),
    ]  # fmt: skip
    autumn = due_moments("02:30", local("2026-10-23 12:00"), local("2026-10-27 12:00"))
    assert autumn == [
        local("2026-10-24 02:30"), local("2026-10-25 02:30"), local("2026-10-26 02:30"),
        local("2026-10-27 02:30"),
    ]  # fmt: skip


@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    start_s=st.integers(1_774_000_000, 1_806_000_000),
    step_s=st.integers(1, int(MAX_LATE_S) - 1),
)
def test_an_appointment_comes_once_a_day_however_often_the_clock_is_looked_at(
    hour: int, minute: int, start_s: int, step_s: int
) -> None:
    at = f"{hour:02}:{minute:02}"
    found = due_moments(at, start_s, start_s + 6 * DAY_S, max(step_s, 120))
    days = [datetime.datetime.fromtimestamp(s - MAX_LATE_S, BERLIN).date() for s in found]
    assert len(found) in (5, 6)
    assert len(set(days)) >= len(days) - 1
    assert all(after - before > 22 * HOUR_S for before, after in itertools.pairwise(found))


@given(start_s=st.integers(1_774_000_000, 1_806_000_000), jumps=_jumps)
def test_however_the_clock_is_set_no_appointment_comes_at_a_wrong_time_or_twice_in_a_row(
    start_s: int, jumps: list[tuple[int, int]]
) -> None:
    appointment, now_s, before = Appointment(), float(start_s), None
    appointment.is_due("07:00", now_s, BERLIN)
    for jump_s, wait_s in jumps:
        now_s += jump_s
        end_s = now_s + wait_s
        while now_s < end_s:
            now_s += 60
            if appointment.is_due("07:00", now_s, BERLIN):
                moment = datetime.datetime.fromtimestamp(now_s, BERLIN)
                assert (moment.hour, moment.minute // 10) == (7, 0)
                assert moment.date() != before
                before = moment.date()


@given(now_s=st.floats(0, 4e9), zone=st.sampled_from([None, BERLIN, ZoneInfo("Asia/Kathmandu")]))
def test_any_time_is_a_time(now_s: float, zone: datetime.tzinfo | None) -> None:
    Appointment().is_due("07:00 Mon", now_s, zone)
