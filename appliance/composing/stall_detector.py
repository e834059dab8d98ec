"""Notices that the music is stuck, and chooses an intervention that moves it.

The detector sees only events, so it works with every model. Its interventions are musical: a higher
temperature for a while, an even higher one if that does not help, and in the end a new piece. A
silence ends at once, because the composer then writes no rests.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import ClassVar

from appliance.common.copying import Copyable
from appliance.music.events import TICKS_PER_BEAT, Event, NoteEvent, NoteOff, NoteOn

BAR_TICKS = 4 * TICKS_PER_BEAT
FROZEN_TICKS = 3 * BAR_TICKS // 2
"""How long a chord may be held or repeated."""
STUCK_TICKS = 4 * BAR_TICKS
"""How long one voice may hold or repeat a note: pedal points are music."""
SILENT_TICKS = 3 * TICKS_PER_BEAT // 2
"""How long all voices may rest: chorales breathe between phrases."""
LOOP_TICKS = 3 * BAR_TICKS
"""How long the music may equal the music before it, at one distance."""
MAX_LOOP_TICKS = 2 * BAR_TICKS
"""The longest distance at which music is compared with the music before it."""
MAX_LOOP_STEPS = 64
"""The same in calls of :meth:`StallDetector.update`."""
COOLING_TICKS = BAR_TICKS
"""How long the temperature stays raised after the stall is over."""
RAISE_EVERY_TICKS = TICKS_PER_BEAT
TEMPERATURE_BOOST = 1.25
"""The factor by which each raise multiplies the temperature."""
MIN_TEMPERATURE = 0.8
"""The lowest temperature that a boost starts from: a colder model stays stuck."""
GIVE_UP_TICKS = 2 * BAR_TICKS
"""When a stall has lasted this long, the piece is abandoned for a new one."""

STALLS = ("frozen", "loop", "stuck", "silence")
"""In this order: a held chord, repeated bars, a held or repeated note in one voice, silence."""


class StallDetector(Copyable):
    """Notices stalls and says how much to raise the temperature.

    Attributes:
        interventions: how often each of ``STALLS`` was met. All copies share the counter.
        stall: which of ``STALLS`` the music is in; ``None``: it moves.
        give_up: the composer should abandon the piece.
    """

    shared_when_copied: ClassVar[frozenset[str]] = frozenset({"interventions"})

    def __init__(self) -> None:
        self.interventions: Counter[str] = Counter()
        self.new_piece(0)

    def new_piece(self, tick: int) -> None:
        """Forget the music so far; a piece begins at ``tick``. The counter keeps its counts."""
        self.stall: str | None = None
        self.give_up = False
        self._stalled_since = tick
        self._last_stall = tick - COOLING_TICKS - 1
        self._chord_since = tick
        self._sounded_until = tick
        self._chord: dict[int, int] = {}
        """The MIDI note of every voice that sounds."""
        self._last_new_chord: dict[int, int] = {}
        self._note_since: dict[int, int] = {}
        """The tick at which the note of a voice began."""
        self._steps: deque[tuple[int, object]] = deque(maxlen=MAX_LOOP_STEPS)
        """Tick and content of the last calls of :meth:`update`."""
        self._repeated_ticks = [0] * (MAX_LOOP_STEPS + 1)
        """For each distance in steps, how long the music has equalled the music before it."""

    def update(self, tick: int, end_tick: int, events: list[Event], *, judged: bool = True) -> None:
        """Examine the music from ``tick`` to ``end_tick``.

        Args:
            tick: where the music begins.
            end_tick: where it is complete.
            events: in order of tick.
            judged: false for music that the user wrote, which is never a stall.
        """
        before, struck, moved = dict(self._chord), dict[int, int](), False
        for event in events:
            if isinstance(event, NoteOff) and self._chord.get(event.voice) == event.pitch:
                del self._chord[event.voice]
            elif isinstance(event, NoteOn):
                self._chord[event.voice] = event.pitch
                moved |= self._last_new_chord.get(event.voice, event.pitch) != event.pitch
                struck = dict(self._chord)
        # A chord that is released and struck again is still the same chord. A bar of music that
        # comes in one step is not, whatever its last chord.
        chord = struck or (dict(self._chord) if self._chord != before else {})
        if chord and (moved or chord != self._last_new_chord):
            self._last_new_chord, self._chord_since = chord, tick
        for voice, pitch in self._chord.items():
            if before.get(voice) != pitch:
                self._note_since[voice] = tick
        if self._chord:
            self._sounded_until = end_tick
        elif note_ticks := [e.tick for e in events if isinstance(e, NoteEvent)]:
            # A change of the tempo is no sound.
            self._sounded_until = max(note_ticks)
        if judged:
            self._count_repeats(tick, end_tick, events)
            self._judge(tick, end_tick)
        else:
            self._chord_since, self._sounded_until = tick, end_tick
            self._note_since = dict.fromkeys(self._chord, tick)

    def _count_repeats(self, tick: int, end_tick: int, events: list[Event]) -> None:
        length = end_tick - tick
        notes = tuple(
            (e.tick - tick, type(e), e.voice, e.pitch) for e in events if isinstance(e, NoteEvent)
        )
        for distance, (earlier_tick, earlier) in enumerate(reversed(self._steps), 1):
            same = earlier == (length, notes) and tick - earlier_tick <= MAX_LOOP_TICKS
            self._repeated_ticks[distance] = self._repeated_ticks[distance] + length if same else 0
        self._steps.append((tick, (length, notes)))

    def _judge(self, tick: int, end_tick: int) -> None:
        stall = None
        if end_tick - self._sounded_until >= SILENT_TICKS:
            stall = "silence"
        elif tick - self._chord_since >= FROZEN_TICKS:
            stall = "frozen"
        elif max(self._repeated_ticks) >= LOOP_TICKS:
            stall = "loop"
        elif any(tick - self._note_since[voice] >= STUCK_TICKS for voice in self._chord):
            stall = "stuck"
        if stall and not self.stall:
            self.interventions[stall] += 1
            self._stalled_since = tick
        self.stall = stall
        if stall:
            self._last_stall = tick
            self.give_up = tick - self._stalled_since >= GIVE_UP_TICKS

    def boosted(self, temperature: float, tick: int) -> float:
        """Return the temperature to compose with at ``tick``: the given one, or a higher one."""
        if tick - self._last_stall > COOLING_TICKS:
            return temperature
        raises = 1 + (tick - self._stalled_since) // RAISE_EVERY_TICKS if self.stall else 1
        return float(max(temperature, MIN_TEMPERATURE) * TEMPERATURE_BOOST**raises)

    def silent_ticks(self, tick: int) -> int:
        """Return for how many ticks before ``tick`` nothing has sounded."""
        return max(0, tick - self._sounded_until)
