"""Where the performer's events come from: the ring when live, a composer in-process offline."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from appliance.music.events import TICKS_PER_BEAT, Event

_LOOK_AHEAD_TICKS = 4 * TICKS_PER_BEAT
"""Far more than one audio block needs at any tempo, little enough to stay in the cache."""

FOREVER_TICK = 1 << 62
"""A horizon that is never reached: there is nothing more to wait for."""


class EventSource(Protocol):
    """Events in the order of their ticks, known to be complete up to a horizon."""

    @property
    def horizon_tick(self) -> int:
        """Every event before this tick can be taken by now; fixed until the next refresh."""

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Called once at the start of each block, with where the music is.

        What is nearer than ``near_ticks`` is played as it is.
        """

    def peek(self) -> Event | None:
        """The next event, or None where there is none yet."""

    def pop(self) -> None:
        """Take the event that :meth:`peek` showed."""

    def ahead(self) -> Iterable[Event]:
        """All that :meth:`peek` will show next, as far as is known; nothing is taken."""


class StepSource:
    """Events composed on demand, for rendering faster than real time.

    ``step`` gives the next events and ``horizon`` the tick up to which they are complete
    (a composer's ``step`` and ``tick``).
    """

    def __init__(self, step: Callable[[], Iterable[Event]], horizon: Callable[[], int]) -> None:
        self._step = step
        self._horizon = horizon
        self._events: deque[Event] = deque()
        self._horizon_tick = 0

    @property
    def horizon_tick(self) -> int:
        """Where composing has got to."""
        return self._horizon_tick

    def refresh(self, playhead_tick: float, near_ticks: float = 0.0) -> None:
        """Compose as far as the next block may need."""
        while (tick := self._horizon()) < playhead_tick + _LOOK_AHEAD_TICKS:
            self._events.extend(self._step())
        self._horizon_tick = tick

    def peek(self) -> Event | None:
        """The next event, or None after the last."""
        return self._events[0] if self._events else None

    def pop(self) -> None:
        """Take the event that :meth:`peek` showed."""
        self._events.popleft()

    def ahead(self) -> Iterable[Event]:
        """All that has been composed and not taken."""
        return self._events


def finished(events: Iterable[Event]) -> StepSource:
    """A source of just these events, after which only silence comes."""
    left = [list(events)]
    return StepSource(left.pop, lambda: 0 if left else FOREVER_TICK)
