"""A box's settings, the clock that acts on them, and a time that a test lets pass."""

from __future__ import annotations

import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from appliance.daemon.clock import Clock
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings

BERLIN: Final = ZoneInfo("Europe/Berlin")
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400


class TimedBox:
    """Settings, the clock that acts on them, and a time that a test lets pass."""

    def __init__(self, now: str = "2026-11-30 20:00", **requested: Any) -> None:
        self.monotonic_s = 1000.0
        self.set_clock(now)
        self.settings = Settings(
            RequestedSettings(model="chorales", **requested),
            lambda: ["chorales"],
            lambda _: ModelDefaults(80.0, 1.0, 1.0, 19),
        )
        self.clock = Clock(self.settings, lambda: self.monotonic_s, lambda: self.now_s, BERLIN)
        self.clock.update()

    def set_clock(self, now: str) -> None:
        """As NTP does; only the time since 1970 jumps."""
        self.now_s = datetime.datetime.fromisoformat(now).replace(tzinfo=BERLIN).timestamp()

    def wait(self, seconds: float, step_s: float = 1.0) -> None:
        end_s = self.monotonic_s + seconds
        while self.monotonic_s < end_s:
            step_s = min(step_s, end_s - self.monotonic_s)
            self.monotonic_s += step_s
            self.now_s += step_s
            self.clock.update()

    def wait_until(self, now: str) -> None:
        goal_s = datetime.datetime.fromisoformat(now).replace(tzinfo=BERLIN).timestamp()
        self.wait(goal_s - self.now_s, 5.0)

    def plays(self) -> bool:
        return self.settings.requested.playing

    @property
    def volume(self) -> float:
        return round(self.clock.volume(self.settings.requested.volume), 3)
