"""Which voice plays a note, for music that is written as notes without voices."""

from __future__ import annotations

from appliance.common.copying import Copyable
from appliance.music.events import PLAIN_VELOCITY, Event, NoteOff, NoteOn
from appliance.music.playability import is_playable

MAX_VOICES = 6
"""How many notes can sound at once, each in a voice of its own."""
NEXT_VOICE_SEMITONES = 9
"""A voice leaps up to this far before the voice next to the right one takes the note instead."""


class VoiceAllocator(Copyable):
    """Assigns notes to voices, and ends each note at its tick."""

    def __init__(self) -> None:
        self.sounding: dict[int, int] = {}
        """The MIDI note of every voice that sounds."""
        self._end_ticks: dict[int, int] = {}
        """The tick at which the note of a voice ends."""
        self._last_pitches: dict[int, int] = {}
        """The last note of every voice, so that a voice keeps its register."""

    def last_end(self, now: int) -> int:
        """The tick at which the last sounding note ends; ``now`` if nothing sounds."""
        return max(self._end_ticks.values(), default=now)

    def start_note(self, now: int, pitch: int, length: int) -> list[Event]:
        """Start a note of ``length`` ticks at tick ``now``, and end the note that its voice holds.

        The voice is the one that holds this pitch already, or else the one that fits best.
        """
        events: list[Event] = []
        voice = next((v for v, held in self.sounding.items() if held == pitch), None)
        if voice is None:
            voice = self._best_voice(pitch)
        if voice in self.sounding:
            events.append(NoteOff(now, voice, self.sounding[voice]))
        self.sounding[voice] = self._last_pitches[voice] = pitch
        self._end_ticks[voice] = now + length
        return [*events, NoteOn(now, voice, pitch, PLAIN_VELOCITY)]

    def _best_voice(self, pitch: int) -> int:
        """The free voice that fits best; without a free one, the one that is free first."""
        free = [v for v in range(MAX_VOICES) if v not in self.sounding]
        if not free:
            return min(self._end_ticks, key=lambda v: self._end_ticks[v])
        # Voice 0 is the highest; but one that was in this register may stay in it.
        above = sum(held > pitch for held in self.sounding.values())
        return min(
            free,
            key=lambda v: (
                NEXT_VOICE_SEMITONES * abs(v - above)
                + abs(self._last_pitches.get(v, pitch) - pitch),
                v,
            ),
        )

    def release_until(self, tick: int) -> list[Event]:
        """End the notes whose ends come at ``tick`` or before, in order."""
        over = sorted((end, voice) for voice, end in self._end_ticks.items() if end <= tick)
        events: list[Event] = [NoteOff(end, voice, self.sounding[voice]) for end, voice in over]
        for _, voice in over:
            del self._end_ticks[voice], self.sounding[voice]
        return events

    def release_playable(self, tick: int, program: int | None) -> list[Event]:
        """Do as :meth:`release_until`, and end with a note those that cannot be held without it.

        On a string instrument the notes of a chord lie on neighbouring strings; when one between
        them ends, the lower ones end too.

        Args:
            tick: up to here.
            program: General MIDI program of the instrument, see :func:`.is_playable`.
        """
        events: list[Event] = []
        while len(self.sounding) > 2 and min(self._end_ticks.values()) <= tick:
            now = min(self._end_ticks.values())
            events += self.release_until(now)
            while not is_playable(self.sounding.values(), program):
                lowest = min(self.sounding, key=lambda voice: self.sounding[voice])
                self._end_ticks[lowest] = now
                events += self.release_until(now)
        return events + self.release_until(tick)

    def release_all(self, now: int) -> list[Event]:
        """End every sounding note at tick ``now``."""
        events: list[Event] = [NoteOff(now, voice, pitch) for voice, pitch in self.sounding.items()]
        self.sounding, self._end_ticks = {}, {}
        return events
