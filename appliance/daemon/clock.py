"""What happens by the clock: sleep timer, quiet hours, wake-up, and the time when music stops.

:meth:`Clock.update` is called many times a second, and looks at the time then; nothing waits for a
moment, so a clock that is set, another time zone or daylight saving cannot make it miss one. The
sleep timer and all fades run on the monotonic clock, which nobody sets. No fade touches the
setting ``volume``: :meth:`Clock.volume` says how loud the music is meanwhile. Times and lengths
are settings: ``state/clock_settings.py`` has their ranges and defaults.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import Final

from appliance.errors import BachboxError
from appliance.state.clock_kinds import OFF, WEEKDAYS, appointment_of, hours_of
from appliance.state.given_name_kinds import NOTHING
from appliance.state.settings import ASKED_TO_PLAY, RequestedSettings, Settings

FADE_S: Final = 60.0
"""How long the music takes to fade out, and to get louder or softer at the ends of quiet hours."""

MAX_LATE_S: Final = 600.0
"""What should have begun longer ago is left out: the clock was set, or the machine was asleep."""

FULL_VOLUME: Final = 100.0

logger = logging.getLogger(__name__)


class Appointment:
    """A time of day on some weekdays, which comes once a day, whatever the clock does."""

    def __init__(self) -> None:
        self._agreed = ""
        self._kept: datetime.date | None = None
        """The day of the last appointment that was due."""

    def is_due(self, at: str, now_s: float, zone: datetime.tzinfo | None) -> bool:
        """Return whether the time has come; at most once for a day.

        A time that is agreed on when it is over is meant for another day.

        Args:
            at: see :class:`appliance.state.clock_kinds.TimeOfDay`.
            now_s: seconds since 1970.
            zone: the time zone; None: that of the machine.
        """
        is_new, self._agreed = at != self._agreed, at
        appointment = appointment_of(at)
        if appointment is None:
            return False
        time_of_day, days = appointment
        today = datetime.datetime.fromtimestamp(now_s, zone).date()
        # It may have been yesterday, a moment before midnight.
        for day in (today, today - datetime.timedelta(days=1)):
            # A time that daylight saving leaves out is an hour later, one that comes twice the
            # first of the two (PEP 495).
            due_s = datetime.datetime.combine(day, time_of_day, zone).timestamp()
            if (
                WEEKDAYS[day.weekday()] in days
                and 0 <= now_s - due_s < MAX_LATE_S
                and day != self._kept
            ):
                self._kept = day
                return not is_new
        return False


class Clock:
    """Plays, pauses and fades by the clock.

    A person's command always wins: music that is started in quiet hours, or while it fades out,
    plays on. The sleep timer runs on through every pause, and what it ends stays paused.
    A restart in quiet hours counts as their beginning; a sleep timer does not outlive one.

    Args:
        settings: what it follows and changes.
        monotonic: gives the seconds of a clock that nobody sets.
        now: gives the seconds since 1970.
        zone: the time zone; None: that of the machine.
    """

    def __init__(
        self,
        settings: Settings,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        zone: datetime.tzinfo | None = None,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._now = now
        self._zone = zone
        self._updated_s: float | None = None
        """On the monotonic clock, as all below; None before the first update."""
        self._is_own = False
        """A change of a setting is ours."""
        self._sleep_s: float | None = None
        """When the sleep timer ends."""
        self._sleep_fade_s = FADE_S
        """How long the sleep timer fades."""
        self._fade_end_s: float | None = None
        """When the music that quiet hours or the stop fade out pauses."""
        self._rise_s: float | None = None
        """When a slow rise began."""
        self._pause_share = 1.0
        """The share of the volume when the music paused: what dies away must not become louder."""
        self._limit = FULL_VOLUME
        """The volume that quiet hours allow now."""
        self._holds = False
        """These are quiet hours in which the music pauses."""
        self._has_paused = False
        """The quiet hours have paused the music, or are fading it out."""
        self._wake, self._stop = Appointment(), Appointment()
        settings.observe(self._settings_changed)

    def update(self) -> None:
        """Do what it is time for; called many times a second."""
        now_s, requested = self._monotonic(), self._settings.requested
        is_first = self._updated_s is None
        elapsed_s = now_s - (self._updated_s or now_s)
        self._updated_s = now_s
        if self._zone is None and self._has_times(requested):
            # Only so does the process notice that the machine has another time zone.
            time.tzset()
        with self._own_changes():
            self._follow_quiet_hours(requested, elapsed_s, is_first=is_first)
            self._keep_appointments(requested)
            self._count_down(now_s)
        if self._rise_s is not None and now_s >= self._rise_s + 60 * requested.wake_rise:
            self._rise_s = None

    def volume(self, volume: float) -> float:
        """Return how loud the music is now, where ``volume`` is set; both 0 to 100."""
        return min(volume, self._limit) * min(self._share(), self._pause_share)

    def _share(self) -> float:
        now_s, share = self._monotonic(), 1.0
        if self._sleep_s is not None:
            share = min(share, (self._sleep_s - now_s) / self._sleep_fade_s)
        if self._fade_end_s is not None:
            share = min(share, (self._fade_end_s - now_s) / FADE_S)
        if self._rise_s is not None:
            rise_s = 60 * self._settings.requested.wake_rise
            share = min(share, (now_s - self._rise_s) / rise_s if rise_s else 1.0)
        return max(0.0, share)

    def _settings_changed(self, requested: RequestedSettings, changed: frozenset[str]) -> None:
        # A new time counts from this moment: it may be over when it is looked at next.
        if "wake_time" in changed:
            self._wake.is_due(requested.wake_time, self._now(), self._zone)
        if "stop_time" in changed:
            self._stop.is_due(requested.stop_time, self._now(), self._zone)
        if "playing" in changed:
            self._pause_share = 1.0 if requested.playing else self._share()
        if self._is_own:
            return
        if "sleep" in changed:
            self._set_timer(requested.sleep)
        if ASKED_TO_PLAY in changed:
            self._play_or_pause_was_asked_for(is_play=requested.playing)

    def _set_timer(self, minutes: float) -> None:
        self._sleep_s = self._monotonic() + 60 * minutes if minutes else None
        self._sleep_fade_s = min(FADE_S, 60 * minutes)
        if minutes and self._fade_end_s is not None:
            # Music is wanted for so long.
            self._fade_end_s, self._has_paused = None, False

    def _play_or_pause_was_asked_for(self, *, is_play: bool) -> None:
        self._rise_s = self._fade_end_s = None
        self._has_paused = False
        if is_play and self._is_sleep_fading():
            with self._own_changes():
                self._end_timer()

    @contextlib.contextmanager
    def _own_changes(self) -> Iterator[None]:
        self._is_own = True
        try:
            yield
        finally:
            self._is_own = False

    # Sleep timer --------------------------------------------------------------------------

    def _count_down(self, now_s: float) -> None:
        if self._fade_end_s is not None and now_s >= self._fade_end_s:
            self._pause()
        if self._sleep_s is None:
            return
        minutes_left = math.ceil((self._sleep_s - now_s) / 60)
        if minutes_left > 0:
            if minutes_left != self._settings.requested.sleep:
                self._settings.change("sleep", minutes_left)
            return
        # What quiet hours have paused does not continue after them, either.
        self._has_paused = False
        self._pause()
        self._end_timer()

    def _is_sleep_fading(self) -> bool:
        return self._sleep_s is not None and self._monotonic() > self._sleep_s - self._sleep_fade_s

    def _end_timer(self) -> None:
        self._sleep_s = None
        self._settings.change("sleep", 0)

    def _pause(self) -> None:
        # The pause of quiet hours is over with them, after a restart too.
        self._settings.change_all({"playing": False}, is_passing=self._has_paused)
        self._fade_end_s = self._rise_s = None

    def _fade_out(self) -> None:
        if self._fade_end_s is None:
            self._fade_end_s = self._monotonic() + FADE_S

    # Quiet hours --------------------------------------------------------------------------

    def _follow_quiet_hours(
        self, requested: RequestedSettings, elapsed_s: float, *, is_first: bool
    ) -> None:
        hours, volume = hours_of(requested.quiet_hours), requested.quiet_volume
        is_quiet = hours is not None and hours.include(self._local_time())
        goal = volume if is_quiet and volume else FULL_VOLUME
        step = FULL_VOLUME if is_first else FULL_VOLUME * elapsed_s / FADE_S
        self._limit += max(-step, min(step, goal - self._limit))
        holds = is_quiet and not volume
        if holds == self._holds:
            return
        self._holds = holds
        if holds and requested.playing:
            logger.info("quiet hours have begun, so the music pauses")
            self._has_paused = True
            if is_first:
                self._pause()
            else:
                self._fade_out()
        elif self._has_paused:
            logger.info("quiet hours are over, so the music continues")
            self._has_paused, self._fade_end_s = False, None
            self._settings.change("playing", True)

    def _has_times(self, requested: RequestedSettings) -> bool:
        times = requested.quiet_hours, requested.wake_time, requested.stop_time
        return any(text != OFF for text in times)

    def _local_time(self) -> datetime.time:
        return datetime.datetime.fromtimestamp(self._now(), self._zone).time()

    # Appointments -------------------------------------------------------------------------

    def _keep_appointments(self, requested: RequestedSettings) -> None:
        now_s = self._now()
        if self._stop.is_due(requested.stop_time, now_s, self._zone):
            logger.info("it is %s, so the music stops", requested.stop_time)
            # What quiet hours have paused, or fade out now, does not continue after them.
            self._has_paused = False
            if requested.playing:
                self._fade_out()
            else:
                self._pause()
        if self._wake.is_due(requested.wake_time, now_s, self._zone):
            logger.info("it is %s, so the music begins", requested.wake_time)
            self._wake_up()

    def _wake_up(self) -> None:
        self._has_paused, self._fade_end_s = False, None
        scene = self._settings.requested.wake_scene
        if scene != NOTHING:
            try:
                self._settings.change("scene", scene)
            except BachboxError as error:
                logger.warning("wake-up: %s; the music begins as it is", error)
        if not self._settings.requested.playing:
            self._rise_s = self._monotonic()
        self._end_timer()
        self._settings.change("playing", True)
