"""A listener beside the composer that notices when the music has got stuck.

It hears only events, so it serves every model. What it asks for is musical: some heat (a
higher temperature) for a while, more where that does not help, and in the end a new piece; a
silence ends at once, because the composer then writes no rests.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from appliance.music.events import TICKS_PER_BEAT, Event, Kind

BAR_TICKS = 4 * TICKS_PER_BEAT
FROZEN_TICKS = 3 * BAR_TICKS // 2
"""A chord may stand this long before anything is done about it."""
STUCK_TICKS = 4 * BAR_TICKS
"""One voice may hold or repeat a note this long: pedal points are music."""
SILENT_TICKS = 3 * TICKS_PER_BEAT // 2
"""Chorales breathe between phrases; longer than this nobody waits for the next note."""
LOOP_TICKS = 3 * BAR_TICKS
"""This much music may equal the music before it, at one distance, before it is a loop."""
MAX_LOOP_TICKS = 2 * BAR_TICKS
MAX_LOOP_ROWS = 64
COOLING_TICKS = BAR_TICKS
"""How long the heat lasts after the trouble is over."""
RAISE_EVERY_TICKS = TICKS_PER_BEAT
HEAT_STEP = 1.25
MIN_TEMPERATURE = 0.8
"""What the heat is applied to where the knob stands lower: a cold model stays stuck."""
GIVE_UP_TICKS = 2 * BAR_TICKS
"""When this much heat has not helped, the piece is given up for a new one."""

TROUBLES = ("frozen", "loop", "stuck", "silence")


@dataclass
class StallDetector:
    """Notices trouble and says how much heat it takes.

    Attributes:
        cures: how often each of ``TROUBLES`` was met.
        give_up: the piece is beyond help; the composer should begin another.
    """

    cures: Counter[str] = field(default_factory=Counter)
    trouble: str | None = None
    give_up: bool = False
    _since: int = 0
    _last_trouble: int = -COOLING_TICKS - 1
    _chord_since: int = 0
    _sounded: int = 0
    _chord: dict[int, int] = field(default_factory=dict)
    """What sounds, by voice."""
    _heard: dict[int, int] = field(default_factory=dict)
    """The last chord that was something new."""
    _note_since: dict[int, int] = field(default_factory=dict)
    _rows: deque[tuple[int, object]] = field(default_factory=lambda: deque(maxlen=MAX_LOOP_ROWS))
    """Where each of the last rows began, and what it held."""
    _runs: list[int] = field(default_factory=lambda: [0] * (MAX_LOOP_ROWS + 1))
    """For each distance in rows, how many ticks of music have equalled the music before."""

    def new_piece(self, tick: int) -> None:
        """Start listening afresh."""
        counted = self.cures
        self.__init__(cures=counted)  # type: ignore[misc]
        self._since = self._chord_since = self._sounded = tick
        self._last_trouble = tick - COOLING_TICKS - 1

    def hear(self, tick: int, end_tick: int, events: list[Event], *, judged: bool = True) -> None:
        """Take in what was composed from ``tick`` on; not judged is what the user wrote."""
        before, struck, moved = dict(self._chord), dict[int, int](), False
        for event in events:
            if event.kind == Kind.NOTE_OFF and self._chord.get(event.voice) == event.pitch:
                del self._chord[event.voice]
            elif event.kind == Kind.NOTE_ON:
                self._chord[event.voice] = event.pitch
                moved |= self._heard.get(event.voice, event.pitch) != event.pitch
                struck = dict(self._chord)
        # A chord that is left and struck again is still the same chord; a bar of music that comes
        # at once is none, whatever it ends on.
        heard = struck or (dict(self._chord) if self._chord != before else {})
        if heard and (moved or heard != self._heard):
            self._heard, self._chord_since = heard, tick
        for voice, pitch in self._chord.items():
            if before.get(voice) != pitch:
                self._note_since[voice] = tick
        if self._chord:
            self._sounded = end_tick
        elif before or events:
            self._sounded = max((e.tick for e in events), default=tick)
        if judged:
            self._count_repeats(tick, end_tick, events)
            self._judge(tick, end_tick)
        else:
            self._chord_since, self._sounded = tick, end_tick
            self._note_since = dict.fromkeys(self._chord, tick)

    def _count_repeats(self, tick: int, end_tick: int, events: list[Event]) -> None:
        length = end_tick - tick
        heard = tuple(
            (e.tick - tick, e.kind, e.voice, e.pitch) for e in events if e.kind <= Kind.NOTE_OFF
        )
        for distance, (began, earlier) in enumerate(reversed(self._rows), 1):
            same = earlier == (length, heard) and tick - began <= MAX_LOOP_TICKS
            self._runs[distance] = self._runs[distance] + length if same else 0
        self._rows.append((tick, (length, heard)))

    def _judge(self, tick: int, end_tick: int) -> None:
        found = None
        if end_tick - self._sounded >= SILENT_TICKS:
            found = "silence"
        elif tick - self._chord_since >= FROZEN_TICKS:
            found = "frozen"
        elif max(self._runs) >= LOOP_TICKS:
            found = "loop"
        elif any(tick - self._note_since[voice] >= STUCK_TICKS for voice in self._chord):
            found = "stuck"
        if found and not self.trouble:
            self.cures[found] += 1
            self._since = tick
        self.trouble = found
        if found:
            self._last_trouble = tick
            self.give_up = tick - self._since >= GIVE_UP_TICKS

    def temperature(self, wanted: float, tick: int) -> float:
        """The temperature to compose with at ``tick``."""
        if tick - self._last_trouble > COOLING_TICKS:
            return wanted
        raises = 1 + (tick - self._since) // RAISE_EVERY_TICKS if self.trouble else 1
        return float(max(wanted, MIN_TEMPERATURE) * HEAT_STEP**raises)

    def silent_ticks(self, tick: int) -> int:
        """How long nothing has sounded before ``tick``."""
        return max(0, tick - self._sounded)

    def copy(self) -> StallDetector:
        """A copy that goes its own way but for the count of cures, which is shared."""
        twin = StallDetector(
            self.cures, self.trouble, self.give_up, self._since, self._last_trouble
        )
        twin._chord_since, twin._sounded = self._chord_since, self._sounded
        twin._chord, twin._heard = dict(self._chord), self._heard
        twin._note_since = dict(self._note_since)
        twin._rows, twin._runs = self._rows.copy(), self._runs.copy()
        return twin
