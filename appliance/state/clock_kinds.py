"""The kinds of values that have to do with the clock: a time of day, and hours of the day.

Their values are text, as people and Home Assistant's text entities write it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from appliance.common.text import quoted
from appliance.errors import UsageError

OFF: Final = "off"
"""In place of a time: never."""

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
"""In the order of :meth:`datetime.date.weekday`."""

EVERY_DAY: Final = " ".join(WEEKDAYS)

_CLOCK: Final = r"([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
"""Seconds, which time pickers send, are ignored."""

_DAY_WORDS: Final = {
    "daily": WEEKDAYS, "every day": WEEKDAYS, "weekdays": WEEKDAYS[:5], "weekend": WEEKDAYS[5:],
}  # fmt: skip


class Hours(NamedTuple):
    """Part of each day; it may include midnight."""

    begin: datetime.time
    end: datetime.time

    def include(self, time: datetime.time) -> bool:
        """Return whether ``time`` is at or after the beginning, and before the end."""
        if self.begin <= self.end:
            return self.begin <= time < self.end
        return time >= self.begin or time < self.end


class ClockKind:
    """Text that has to do with the clock; ``str`` says what is allowed, to follow "it must be"."""

    value_type: ClassVar[type] = str
    shown_type: ClassVar[type] = str
    schema: ClassVar[str]
    """What the API calls this kind."""
    pattern: ClassVar[str]
    """A regular expression for the whole text; not all that it matches is allowed."""
    brief: ClassVar[str]
    """What is allowed, in as few words as possible."""

    def show(self, value: bool | int | float | str) -> bool | int | float | str:
        """Return ``value`` as people read it."""
        return value

    def options(self, names: Sequence[str]) -> Sequence[str]:
        """Return no possible values: there are too many."""
        return ()

    def parse(self, label: str, value: object) -> str:
        """Return ``value`` as it is written always.

        Raises:
            UsageError: it is not allowed.
        """
        try:
            return self.written(str(value))
        except ValueError as error:
            raise UsageError(
                f"{label}: {quoted(value)} is not allowed; it must be {self}"
            ) from error

    def written(self, text: str) -> str:
        """Return ``text`` as it is written always.

        Raises:
            ValueError: it is not allowed.
        """
        return self._written(" ".join(text.split()).casefold())

    def _written(self, text: str) -> str:
        raise NotImplementedError


class TimeOfDay(ClockKind):
    """A time of day on all or some weekdays, such as "07:00 Mon Tue", or :data:`OFF`."""

    schema = "time"
    pattern = rf"{OFF}|{_CLOCK}( [A-Za-z ,\-–]+)?"
    brief = f"{OFF}, or a time such as 07:00 or 07:00 Mon-Fri"

    def __str__(self) -> str:
        return (
            f'"{OFF}", or a time such as "07:00", with days if it is not for all of them: '
            '"07:00 Mon-Fri", "07:00 Sat Sun", "07:00 weekdays", "07:00 weekend"'
        )

    def _written(self, text: str) -> str:
        if text == OFF:
            return OFF
        time, _, days = text.partition(" ")
        days = _days(days) if days else EVERY_DAY
        return f"{_time(time):%H:%M}" + (f" {days}" if days != EVERY_DAY else "")


class HoursOfDay(ClockKind):
    """Hours such as "22:00-07:00", or :data:`OFF`."""

    schema = "hours"
    pattern = rf"{OFF}|{_CLOCK} *(-|–|to) *{_CLOCK}"
    brief = f"{OFF}, or hours such as 22:00-07:00"

    def __str__(self) -> str:
        return f'"{OFF}", or two different times such as "22:00-07:00"'

    def _written(self, text: str) -> str:
        if text == OFF:
            return OFF
        begin, end = map(_time, re.split(r" ?(?:-|–|to) ?", text, maxsplit=1))
        if begin == end:
            raise ValueError
        return f"{begin:%H:%M}-{end:%H:%M}"


def appointment_of(text: str) -> tuple[datetime.time, str] | None:
    """Return the time and the weekdays that a :class:`TimeOfDay` says; None: never."""
    if text == OFF:
        return None
    time, _, days = text.partition(" ")
    return datetime.time.fromisoformat(time), days or EVERY_DAY


def hours_of(text: str) -> Hours | None:
    """Return the hours that an :class:`HoursOfDay` says; None: never."""
    return None if text == OFF else Hours(*map(datetime.time.fromisoformat, text.split("-")))


def _time(text: str) -> datetime.time:
    if not re.fullmatch(_CLOCK, text):
        raise ValueError
    hour, minute, *_ = map(int, text.split(":"))
    return datetime.time(hour, minute)


def _days(text: str) -> str:
    if text in _DAY_WORDS:
        return " ".join(_DAY_WORDS[text])
    days = set[int]()
    for part in re.sub(r" ?[-–] ?", "-", text).replace(",", " ").split():
        first, *rest = (_weekday(word) for word in part.split("-"))
        if len(rest) > 1:
            raise ValueError
        last = rest[0] if rest else first
        days |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    if not days:
        raise ValueError
    return " ".join(WEEKDAYS[day] for day in sorted(days))


def _weekday(word: str) -> int:
    names = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    found = [n for n, name in enumerate(names) if len(word) >= 3 and name.startswith(word)]
    if not found:
        raise ValueError
    return found[0]
