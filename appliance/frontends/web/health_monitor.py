"""The health of the last minutes, and the time from a change of a setting to its sound."""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import deque
from typing import Final

import msgspec

from appliance.frontends.systemd_notify import has_progressed, is_ready
from appliance.state.box_status import BoxStatus, Health, Progress, Workload
from appliance.state.settings import RequestedSettings, Settings

SAMPLE_INTERVAL_S: Final = 2.0

MAX_SAMPLES: Final = 150
"""Five minutes."""

STALL_SAMPLES: Final = 8
"""After this many samples without progress something is wrong. At the slowest tempo a last chord,
the pause after it and the wait of the composer take ten seconds."""

BUCKETS_MS: Final = (5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000)
"""Upper bounds of the latency histogram."""

POLL_INTERVAL_S: Final = 0.004

TIMEOUT_S: Final = 2.0
"""A change that waits longer is not measured: there is no sound."""


class Sample(msgspec.Struct, frozen=True):
    """One measurement; counts and rates are since the previous one."""

    uptime_s: int
    xruns: int
    starved_blocks: int
    late_notes: int
    restarts: int
    look_ahead_s: float
    notes_per_s: float
    tokens_per_s: float
    cpu_percent: dict[str, float]
    """Percent of one core, by process."""
    rss_mib: dict[str, float]
    """Resident memory, by process."""


class Latency(msgspec.Struct, frozen=True):
    """A histogram of the time from a change of a setting to a block of sound with it."""

    bounds_ms: list[int]
    """Upper bounds of the buckets."""
    counts: list[int]
    """Changes in each bucket, not cumulative; one more than the bounds, for longer times."""
    sum_ms: float


class HealthMonitor:
    """Takes a sample every :data:`SAMPLE_INTERVAL_S` while :meth:`run` runs."""

    def __init__(self, settings: Settings, box: BoxStatus) -> None:
        self._box = box
        self._progress: deque[Progress] = deque(maxlen=STALL_SAMPLES + 1)
        self._started = False
        self.samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        self._counts = [0] * (len(BUCKETS_MS) + 1)
        self._sum_ms = 0.0
        self._measuring: asyncio.Task[None] | None = None
        self._stop_observing = settings.observe(self._changed)

    def is_healthy(self) -> bool:
        """Return whether sound is playing, or would be if it were not paused."""
        progress = self._progress
        now = self._box.progress()
        self._started = self._started or is_ready(now, self._box)
        if len(progress) <= STALL_SAMPLES:
            return self._started
        return self._started and has_progressed(progress[0], now)

    def latency(self) -> Latency:
        """Return the histogram of all changes measured so far."""
        return Latency(list(BUCKETS_MS), list(self._counts), round(self._sum_ms, 1))

    async def run(self) -> None:
        """Take samples until cancelled."""
        loop = asyncio.get_running_loop()
        before, at = await asyncio.to_thread(self._read), loop.time()
        while True:
            self._progress.append(self._box.progress())
            await asyncio.sleep(SAMPLE_INTERVAL_S)
            read, now = await asyncio.to_thread(self._read), loop.time()
            self.samples.append(_sample(before, read, now - at))
            before, at = read, now

    def _read(self) -> tuple[Workload, Health]:
        return self._box.workload(), self._box.health()

    def close(self) -> None:
        """Stop measuring latency."""
        self._stop_observing()
        if self._measuring is not None:
            self._measuring.cancel()

    def _changed(self, _values: RequestedSettings, _changed: frozenset[str]) -> None:
        # While a knob is turned, changes follow each other fast: one of them is enough.
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure())

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        started, heartbeat = loop.time(), self._box.performer_heartbeat()
        # The block being rendered now began without the change; the next one has it.
        while self._box.performer_heartbeat() < heartbeat + 1:
            await asyncio.sleep(POLL_INTERVAL_S)
            if loop.time() - started > TIMEOUT_S:
                return
        milliseconds = (loop.time() - started) * 1000
        self._counts[bisect.bisect_left(BUCKETS_MS, milliseconds)] += 1
        self._sum_ms += milliseconds


def _sample(
    before: tuple[Workload, Health], now: tuple[Workload, Health], seconds: float
) -> Sample:
    (work_before, health_before), (work, health) = before, now
    # The counters of a restarted process begin at zero again: clip at 0.
    cpu = {
        name: round(100 * max(0.0, spent - work_before.cpu_s.get(name, 0.0)) / seconds, 1)
        for name, spent in work.cpu_s.items()
    }
    return Sample(
        uptime_s=health.uptime_s,
        xruns=max(0, health.xruns - health_before.xruns),
        starved_blocks=max(0, health.starved_blocks - health_before.starved_blocks),
        late_notes=max(0, health.late_notes - health_before.late_notes),
        restarts=max(0, health.restarts - health_before.restarts),
        look_ahead_s=health.look_ahead_s,
        notes_per_s=round(max(0, work.notes - work_before.notes) / seconds, 2),
        tokens_per_s=round(max(0, work.tokens - work_before.tokens) / seconds, 2),
        cpu_percent=cpu,
        rss_mib=work.rss_mib,
    )


def cumulative(latency: Latency) -> list[int]:
    """Return the counts as Prometheus wants them: each bucket includes all lower ones."""
    return list(itertools.accumulate(latency.counts))
