"""How a piece is heard: with expression, and with its halves, or the whole of it, played again.

Nothing is composed for a repeat. The section's bare events are kept, and performed again. How many
times a piece is played, the programme decides; whether a half is, the composer. The second time, a
half has an ending of its own: where the first time leaves rests, its last chord is held.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from appliance.common.copying import Copyable
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, NoteOn, TempoFactor
from appliance.music.expression import Performance
from appliance.music.score import Form

AGAIN, LEFT_OUT = 255, 254
"""Marks among the tokens in the ring, which no model ever sees: a step of a section is played
again; the tokens after this one are composed and not played."""
MARKS = (AGAIN, LEFT_OUT)


class Step(NamedTuple):
    """A step of the music as it was composed; ticks count from the piece's beginning."""

    tick: int
    end_tick: int
    events: tuple[Event, ...]
    """Without expression."""


def with_last_chord_held(steps: list[Step], end_tick: int, bar_ticks: int) -> list[Step]:
    """Return the steps of a section with its last chord held until ``end_tick``.

    A section stays as it is if nothing sounds in its last bar.

    Args:
        steps: of the section, at least one.
        end_tick: where its last bar ends, not before the last step does.
        bar_ticks: length of a bar.
    """
    last_tick = max(
        (e.tick for step in steps for e in step.events if isinstance(e, NoteOn)), default=0
    )
    sounding: dict[tuple[int, int], int] = {}
    """Until when each note that has begun sounds, as far as that is known."""
    held = []
    for step in steps:
        events = []
        for event in step.events:
            if isinstance(event, NoteOn):
                sounding[event.voice, event.pitch] = steps[-1].end_tick
            elif isinstance(event, NoteOff):
                note = event.voice, event.pitch
                if event.tick > last_tick and note in sounding:
                    sounding[note] = event.tick
                    continue
                sounding.pop(note, None)
            events.append(event)
        held.append(step._replace(events=tuple(events)))
    if max(sounding.values(), default=0) <= end_tick - bar_ticks:
        return steps
    ends = tuple(NoteOff(end_tick, *note) for note in sounding)
    held[-1] = held[-1]._replace(end_tick=end_tick, events=held[-1].events + ends)
    return held


class Rendition(Copyable):
    """A piece as it is heard.

    It consists of sections, which begin at the piece's beginning and at its double bar. The last
    one can be played again.

    Args:
        form: of the piece.
        start_tick: where it begins.
        voices: how many voices have parts of their own; 1 in music without voices.

    Attributes:
        section: number of the present section, 0 for a piece's first.
        times_played: how often it has been heard, the present time included.
    """

    shared_when_copied: ClassVar[frozenset[str]] = frozenset({"_performance_before"})

    def __init__(self, form: Form, start_tick: int, voices: int) -> None:
        self._performance = Performance(form, start_tick, voices)
        self._double_bar_tick = (form.facts.double_bar_step or 0) * TICKS_PER_STEP
        """In the piece as it is written; 0 where there is none."""
        self._section_tick = 0
        """Where the section begins in the piece as it is written."""
        self._performance_before = self._performance.copy()
        """The performance at the beginning of the section; never changed."""
        self._steps: list[Step] = []
        """Of the section."""
        self._next = -1
        """Which step of the section is played next in a repeat; -1 outside a repeat."""
        self.section = 0
        self.times_played = 1
        self._sounding: dict[tuple[int, int], None] = {}
        """Voice and pitch of the notes that sound, in the order in which they were struck."""

    def tick_of(self, tick: int) -> int:
        """Where music is heard that stands at ``tick`` of the piece as it is written."""
        return self._performance.start_tick + tick

    @property
    def in_repeat(self) -> bool:
        """Whether a repeat has begun and is not over."""
        return 0 <= self._next < len(self._steps)

    @property
    def section_is_empty(self) -> bool:
        """Whether the section has only begun."""
        return not self._steps

    def begin_section(self, tick: int) -> None:
        """Begin the next section, at ``tick`` of the piece as it is written."""
        self.section, self._section_tick = self.section + 1, tick
        self.times_played, self._steps, self._next = 1, [], -1
        self._performance_before = self._performance.copy()

    def play(self, step: Step, *, last_time: bool) -> list[Event]:
        """Perform a new step of the section.

        Args:
            step: as it was composed.
            last_time: the section will not be played again.
        """
        self._steps.append(step)
        return self._perform(step, last_time)

    def play_again(self, *, bar_ticks: int, last_time: bool) -> tuple[list[Event], int]:
        """Perform the next step of the section once more; begin its repeat if none has begun.

        The bar in which the section ends is filled up with rests first. A half of a piece ends the
        second time with its last chord held, to the end of that bar if nothing follows.

        Returns:
            The events, and where the step ends, as it is heard.
        """
        events: list[Event] = []
        if not self.in_repeat:
            begin, end = self._section_tick, self._steps[-1].end_tick
            bar_end = end + (begin - end) % bar_ticks
            at_tick = self.tick_of(bar_end)
            if self.section:
                self._steps = with_last_chord_held(self._steps, bar_end, bar_ticks)
            elif end == self._double_bar_tick:
                self._steps = with_last_chord_held(self._steps, end, bar_ticks)
            self._next, self.times_played = 0, self.times_played + 1
            self._performance = self._performance_before.copy()
            self._performance.start_tick = at_tick - begin
            events.append(TempoFactor(at_tick, self._performance.tempo_factor_permille))
        step, self._next = self._steps[self._next], self._next + 1
        return events + self._perform(step, last_time), self.tick_of(step.end_tick)

    def leave_out(self, step: Step) -> None:
        """Do not play a step; what follows is heard in its place."""
        self._performance.start_tick -= step.end_tick - step.tick

    def _perform(self, step: Step, last_time: bool) -> list[Event]:
        self._performance.last_time = last_time
        events = self._performance.tempo_changes(step.tick)
        played = self._performance.play([*step.events])
        for event in played:
            if isinstance(event, NoteOn):
                self._sounding[event.voice, event.pitch] = None
            elif isinstance(event, NoteOff):
                self._sounding.pop((event.voice, event.pitch), None)
        return events + played

    def release(self, tick: int) -> list[Event]:
        """End every sounding note at ``tick``."""
        events: list[Event] = [NoteOff(tick, *note) for note in self._sounding]
        self._sounding.clear()
        return events
