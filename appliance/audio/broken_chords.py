"""The notes of broken chords that are still to be struck; see :mod:`appliance.music.arpeggio`."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from itertools import takewhile
from operator import attrgetter

from appliance.audio.voices import VoicePlayer
from appliance.music import arpeggio
from appliance.music.events import Event, NoteEvent, NoteOn


class BrokenChords:
    """Decides which notes are struck later than they are written, and keeps them until then."""

    def __init__(self) -> None:
        self.waiting: list[NoteOn] = []
        """The notes that are to be struck, in order, each at its ``tick``."""
        self._chord_tick: int | None = None
        self._delays: dict[tuple[int, int], int] = {}
        """Those of the chord at that tick, by voice and pitch."""

    def delay(
        self,
        note: NoteOn,
        ahead: Iterable[Event],
        voices: VoicePlayer,
        *,
        horizon_tick: int,
        expression: float,
        ticks_per_ms: float,
    ) -> bool:
        """Let ``note`` wait if it belongs to a broken chord and is not the first to be struck.

        Args:
            note: as it is written.
            ahead: the events that follow it, in order.
            voices: what plays it.
            horizon_tick: no event before this tick is missing in ``ahead``.
            expression: 0 to 100.
            ticks_per_ms: the present tempo.

        Returns:
            Whether it waits now.
        """
        if not expression or voices.manner(note.voice, note.pitch) is None:
            return False
        if note.tick != self._chord_tick:
            self._chord_tick, self._delays = note.tick, {}
            end_tick = min(note.tick + arpeggio.ROOM_TICKS, horizon_tick)
            near = [note, *takewhile(lambda event: event.tick < end_tick, ahead)]
            for chord, manner in _chords(near, note.tick, voices):
                delays = arpeggio.delays_ticks(
                    [on.pitch for on in chord],
                    manner,
                    expression=expression,
                    ticks_per_ms=ticks_per_ms,
                    room_ticks=_next_tick(near, chord, end_tick) - note.tick,
                )
                self._delays |= {(on.voice, on.pitch): delays[on.pitch] for on in chord}
        delay_ticks = self._delays.get((note.voice, note.pitch), 0)
        if delay_ticks:
            later = note._replace(tick=note.tick + delay_ticks)
            insort(self.waiting, later, key=attrgetter("tick"))
        return delay_ticks > 0

    def waits(self, voice: int, pitch: int) -> bool:
        """Whether this note is still to be struck."""
        return any((note.voice, note.pitch) == (voice, pitch) for note in self.waiting)

    def take(self, voice: int, pitch: int) -> NoteOn | None:
        """Return this note if it is still to be struck; it waits no longer."""
        for place, note in enumerate(self.waiting):
            if (note.voice, note.pitch) == (voice, pitch):
                return self.waiting.pop(place)
        return None


def _chords(
    events: Iterable[Event], tick: int, voices: VoicePlayer
) -> list[tuple[list[NoteOn], arpeggio.Manner]]:
    """The notes struck at ``tick`` on each instrument whose player breaks chords."""
    chords: dict[int, tuple[list[NoteOn], arpeggio.Manner]] = {}
    for event in takewhile(lambda event: event.tick == tick, events):
        if isinstance(event, NoteOn) and (manner := voices.manner(event.voice, event.pitch)):
            program = voices.program_of(event.voice, event.pitch)
            chords.setdefault(program, ([], manner))[0].append(event)
    return [found for found in chords.values() if len(found[0]) >= arpeggio.MIN_NOTES]


def _next_tick(events: Iterable[Event], chord: list[NoteOn], end_tick: int) -> int:
    """Where the next note begins, or one of the chord's ends; ``end_tick`` if neither is known."""
    notes = {(on.voice, on.pitch) for on in chord}
    return next(
        (
            event.tick
            for event in events
            if isinstance(event, NoteEvent)
            and event.tick > chord[0].tick
            and (isinstance(event, NoteOn) or (event.voice, event.pitch) in notes)
        ),
        end_tick,
    )
