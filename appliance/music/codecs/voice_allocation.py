"""Who plays a note: the voices of music that is written as notes and not as voices."""

from __future__ import annotations

from appliance.music.events import PLAIN_VELOCITY, Event, note_off, note_on

MAX_VOICES = 6
"""So many notes can sound at once; each gets a voice of its own."""
OTHER_VOICE_SEMITONES = 9
"""A voice leaps further than this before another one, which was nearer, takes the note."""


class Voices:
    """What sounds, and until when."""

    def __init__(self) -> None:
        self.sounds: dict[int, int] = {}
        """For every voice that sounds, its MIDI note."""
        self._ends: dict[int, int] = {}
        """And the tick at which that ends."""
        self._last_of: dict[int, int] = {}
        """The last note of every voice, so that a voice keeps its register."""

    def last_end(self, now: int) -> int:
        """The tick at which nothing sounds any more; ``now`` where nothing does."""
        return max(self._ends.values(), default=now)

    def strike(self, now: int, pitch: int, length: int) -> list[Event]:
        """A note in a voice of its own: the one that holds this pitch, or else the fittest."""
        events = []
        voice = next((v for v, sounding in self.sounds.items() if sounding == pitch), None)
        if voice is None:
            voice = self._fittest(pitch)
        if voice in self.sounds:
            events.append(note_off(now, voice, self.sounds[voice]))
        self.sounds[voice] = self._last_of[voice] = pitch
        self._ends[voice] = now + length
        return [*events, note_on(now, voice, pitch, PLAIN_VELOCITY)]

    def _fittest(self, pitch: int) -> int:
        """A voice that is free, or else the one that is so first."""
        free = [v for v in range(MAX_VOICES) if v not in self.sounds]
        if not free:
            return min(self._ends, key=lambda v: self._ends[v])
        # Voice 0 is the highest; but one that was in this register may stay in it.
        above = sum(sounding > pitch for sounding in self.sounds.values())
        return min(
            free,
            key=lambda v: (
                OTHER_VOICE_SEMITONES * abs(v - above) + abs(self._last_of.get(v, pitch) - pitch),
                v,
            ),
        )

    def leave(self, until: int) -> list[Event]:
        """Leave the notes that end by then, in order."""
        over = sorted((end, voice) for voice, end in self._ends.items() if end <= until)
        events = [note_off(end, voice, self.sounds[voice]) for end, voice in over]
        for _, voice in over:
            del self._ends[voice], self.sounds[voice]
        return events

    def leave_all(self, now: int) -> list[Event]:
        """Leave every note still sounding."""
        events = [note_off(now, voice, pitch) for voice, pitch in self.sounds.items()]
        self.sounds, self._ends = {}, {}
        return events

    def copy(self) -> Voices:
        """A copy that goes its own way."""
        twin = Voices()
        twin.sounds, twin._ends = self.sounds.copy(), self._ends.copy()
        twin._last_of = self._last_of.copy()
        return twin
