"""Where the performer's events come from: the ring, or a composer in the same process."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from appliance.music.events import TICKS_PER_BEAT, Event

_LOOK_AHEAD_TICKS = 4 * TICKS_PER_BEAT
"""More than one audio block needs at any tempo, but little enough to stay in the cache."""

FOREVER_TICK = 1 << 62
"""The horizon of a source to which nothing will be added."""


class EventSource(Protocol):
    """Events in the order of their ticks, complete up to a horizon."""

    @property
    def horizon_tick(self) -> int:
        """Every event before this tick can be taken; fixed until the next :meth:`refresh`."""

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Fetch new events; called once, at the start of each block.

        Args:
            playhead_tick: where the music is.
            near_ticks: events that are less than this after the playhead must not change.
        """

    def peek(self) -> Event | None:
        """Return the next event without taking it, or None if there is none yet."""

    def pop(self) -> None:
        """Take the event that :meth:`peek` returns.

        Raises:
            IndexError: there is none.
        """

    def ahead(self) -> Iterable[Event]:
        """Return all events that are known and not taken, in order."""


class StepSource:
    """Events composed on demand, for rendering faster than real time.

    Args:
        step: returns the next events, as a composer's ``step`` does.
        horizon: returns the tick up to which the events are complete, as a composer's ``tick``.
    """

    def __init__(self, step: Callable[[], Iterable[Event]], horizon: Callable[[], int]) -> None:
        self._step = step
        self._horizon = horizon
        self._events: deque[Event] = deque()
        self._horizon_tick = 0

    @property
    def horizon_tick(self) -> int:
        """Every event before this tick can be taken; see :attr:`EventSource.horizon_tick`."""
        return self._horizon_tick

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Compose as far as the next block may need."""
        while (tick := self._horizon()) < playhead_tick + _LOOK_AHEAD_TICKS:
            self._events.extend(self._step())
        self._horizon_tick = tick

    def peek(self) -> Event | None:
        """Return the next event without taking it, or None after the last."""
        return self._events[0] if self._events else None

    def pop(self) -> None:
        """Take the event that :meth:`peek` returns.

        Raises:
            IndexError: there is none.
        """
        self._events.popleft()

    def ahead(self) -> Iterable[Event]:
        """Return all events that are composed and not taken."""
        return self._events


def finished(events: Iterable[Event]) -> StepSource:
    """Return a source of these events, which are followed by silence."""
    left = [list(events)]
    return StepSource(left.pop, lambda: 0 if left else FOREVER_TICK)
