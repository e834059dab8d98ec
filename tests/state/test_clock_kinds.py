"""Times of day and hours of the day, as people write them."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.state.clock_kinds import (
    EVERY_DAY,
    OFF,
    WEEKDAYS,
    Hours,
    HoursOfDay,
    TimeOfDay,
    appointment_of,
    hours_of,
)

_times = st.times().map(lambda time: time.replace(second=0, microsecond=0))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("off", "off"),
        (" OFF ", "off"),
        ("7:00", "07:00"),
        ("23:59:30", "23:59"),
        ("07:00 Mon-Fri", "07:00 Mon Tue Wed Thu Fri"),
        ("07:00 weekdays", "07:00 Mon Tue Wed Thu Fri"),
        ("07:00 sunday, sat", "07:00 Sat Sun"),
        ("07:00 Fri - Mon", "07:00 Mon Fri Sat Sun"),
        ("07:00  Mon-Sun", "07:00"),
        ("07:00 daily", "07:00"),
    ],
)
def test_a_time_is_understood_as_people_write_it(text: str, written: str) -> None:
    assert TimeOfDay().parse("wake_time", text) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("off", "off"),
        ("22:00-07:00", "22:00-07:00"),
        ("22:00 to 7:00", "22:00-07:00"),
        ("13:00 – 15:00", "13:00-15:00"),
    ],
)
def test_hours_are_understood_as_people_write_them(text: str, written: str) -> None:
    assert HoursOfDay().parse("quiet_hours", text) == written


@pytest.mark.parametrize("value", ["", "24:00", "7", "7:5", "07:00 Mo", "07:00 Mon--Fri", 7, True])
def test_what_is_no_time_is_refused_with_a_sentence(value: object) -> None:
    with pytest.raises(UsageError, match=r"^wake_time: .* is not allowed; it must be \"off\", or"):
        TimeOfDay().parse("wake_time", value)


@pytest.mark.parametrize("value", ["", "22:00", "22:00-22:00", "22:00-24:00", "off-on", 0])
def test_what_are_no_hours_is_refused_with_a_sentence(value: object) -> None:
    with pytest.raises(UsageError, match=r"^quiet_hours: .* two different times"):
        HoursOfDay().parse("quiet_hours", value)


@given(text=st.text(max_size=30))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for kind in (TimeOfDay(), HoursOfDay()):
        try:
            written = kind.parse("it", text)
        except UsageError:
            continue
        assert kind.parse("it", written) == written
        assert re.fullmatch(kind.pattern, written), "Home Assistant checks states, too"


@given(time=_times, days=st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_a_time_is_read_as_it_was_written(time: datetime.time, days: set[str]) -> None:
    written = TimeOfDay().parse("wake_time", f"{time:%H:%M} {' '.join(days)}")
    assert re.fullmatch(TimeOfDay.pattern, written)
    found = appointment_of(written)
    assert found is not None
    assert found[0] == time
    assert set(found[1].split()) == days
    assert appointment_of(OFF) is None
    assert appointment_of("07:00") == (datetime.time(7), EVERY_DAY)


@given(begin=_times, end=_times, time=_times)
def test_hours_include_their_beginning_and_not_their_end(
    begin: datetime.time, end: datetime.time, time: datetime.time
) -> None:
    if begin == end:
        return
    hours = hours_of(HoursOfDay().parse("quiet_hours", f"{begin:%H:%M}-{end:%H:%M}"))
    assert hours == Hours(begin, end)
    assert hours.include(begin)
    assert not hours.include(end)
    assert hours.include(time) != Hours(end, begin).include(time)
