"""How the box has been in the last minutes, and how long a hand waits for the sound."""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import deque
from typing import Final

import msgspec

from appliance.frontends.systemd_notify import goes_on, has_begun
from appliance.state.box_status import BoxStatus, Counts, ProgressCounters
from appliance.state.settings import RequestedSettings, Settings

SAMPLE_S: Final = 2.0

SAMPLES: Final = 150
"""Five minutes."""

WELL_SAMPLES: Final = 8
"""So many samples without anything new, and something is wrong: a last chord, the breath after it
and the composer's nap last ten seconds at the slowest tempo."""

BUCKETS_MS: Final = (5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000)

POLL_INTERVAL_S: Final = 0.004

GIVE_UP_S: Final = 2.0


class Sample(msgspec.Struct, frozen=True):
    """One look; rates are since the look before."""

    uptime_s: int
    xruns: int
    """Since the look before."""
    look_ahead_s: float
    notes_per_s: float
    tokens_per_s: float
    cpu_percent: dict[str, float]
    """Of one core, by process."""
    rss_mib: dict[str, float]


class Latency(msgspec.Struct, frozen=True):
    """A histogram: how many changes waited for at most so many milliseconds, each bound alone."""

    bounds_ms: list[int]
    counts: list[int]
    """One more than the bounds: the last one is of those that waited longer."""
    sum_ms: float


class Monitor:
    """Samples, as long as :meth:`work` runs."""

    def __init__(self, settings: Settings, box: BoxStatus) -> None:
        self._box = box
        self._pulses: deque[ProgressCounters] = deque(maxlen=WELL_SAMPLES + 1)
        self._begun = False
        self.samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0.0
        self._waiting: asyncio.Task[None] | None = None
        self.forget = settings.observe(self._changed)

    def is_well(self) -> bool:
        """Sound flows, or nothing is to sound and all is ready."""
        pulses = self._pulses
        now = self._box.pulse()
        self._begun = self._begun or has_begun(now, self._box)
        if len(pulses) <= WELL_SAMPLES:
            return self._begun
        return self._begun and goes_on(pulses[0], now)

    def latency(self) -> Latency:
        """How long changes waited until a block of sound with them was rendered."""
        return Latency(list(BUCKETS_MS), list(self._counts), round(self._sum_ms, 1))

    async def work(self) -> None:
        """Sample until cancelled."""
        loop = asyncio.get_running_loop()
        before, at, xruns = await asyncio.to_thread(self._box.counts), loop.time(), None
        while True:
            self._pulses.append(self._box.pulse())
            await asyncio.sleep(SAMPLE_S)
            counts, health = await asyncio.to_thread(
                lambda: (self._box.counts(), self._box.health())
            )
            now = loop.time()
            new_xruns = health.xruns - (health.xruns if xruns is None else xruns)
            self.samples.append(
                _sample(before, counts, now - at, health.uptime_s, new_xruns, health.look_ahead_s)
            )
            before, at, xruns = counts, now, health.xruns

    def close(self) -> None:
        """No longer listen."""
        self.forget()
        if self._waiting is not None:
            self._waiting.cancel()

    def _changed(self, _values: RequestedSettings, _changed: frozenset[str]) -> None:
        # Of a whole turn of a knob the first change tells enough.
        if self._waiting is None or self._waiting.done():
            self._waiting = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        begun, beats = loop.time(), self._box.performer_beats()
        # The block that is being rendered just now does not know of it; the next one does.
        while self._box.performer_beats() < beats + 1:
            await asyncio.sleep(POLL_INTERVAL_S)
            if loop.time() - begun > GIVE_UP_S:
                return
        milliseconds = (loop.time() - begun) * 1000
        self._counts[bisect.bisect_left(BUCKETS_MS, milliseconds)] += 1
        self._sum_ms += milliseconds


def _sample(
    before: Counts, now: Counts, seconds: float, uptime_s: int, xruns: int, look_ahead_s: float
) -> Sample:
    # A process made anew begins anew: nothing is negative.
    cpu = {
        name: round(100 * max(0.0, spent - before.cpu_s.get(name, 0.0)) / seconds, 1)
        for name, spent in now.cpu_s.items()
    }
    return Sample(
        uptime_s=uptime_s,
        xruns=xruns,
        look_ahead_s=look_ahead_s,
        notes_per_s=round(max(0, now.notes - before.notes) / seconds, 2),
        tokens_per_s=round(max(0, now.tokens - before.tokens) / seconds, 2),
        cpu_percent=cpu,
        rss_mib=now.rss_mib,
    )


def cumulative(latency: Latency) -> list[int]:
    """The histogram as Prometheus wants it: each bucket with all before it."""
    return list(itertools.accumulate(latency.counts))
