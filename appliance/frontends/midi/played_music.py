"""What somebody plays on a keyboard, until they pause."""

from __future__ import annotations

from typing import Final

from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.notes import Note

PAUSE_S: Final = 3.0
"""After so long without a key the music that was played is complete."""

MIN_NOTES: Final = 4
"""Fewer are a touch, or a test of the cable."""

MAX_NOTES: Final = 500
"""More than anybody's opening; the first ones count."""


class PlayedMusic:
    """Collects notes with their times."""

    def __init__(self) -> None:
        self._notes: list[tuple[float, float, int]] = []
        """When each note began and ended, and its pitch."""
        self._down: dict[int, float] = {}
        self._last_s = 0.0

    def add(self, at_s: float, pitch: int, *, is_on: bool) -> None:
        """Note that a key, a MIDI note, went down or up at ``at_s`` on the monotonic clock."""
        self._last_s = at_s
        began_s = self._down.pop(pitch, None)
        if began_s is not None and len(self._notes) < MAX_NOTES:
            self._notes.append((began_s, at_s, pitch))
        if is_on:
            self._down[pitch] = at_s

    def take(self, now_s: float, tempo_bpm: float) -> list[Note]:
        """Return the music once it is complete, and forget it; [] before that.

        The first note begins at tick 0. Nobody plays to a metronome here, so notes begin and end
        on the nearest 16th at ``tempo_bpm`` quarter notes a minute.
        """
        if self._down or not self._notes or now_s - self._last_s < PAUSE_S:
            return []
        played, self._notes = self._notes, []
        if len(played) < MIN_NOTES:
            return []
        step_s = 60 / tempo_bpm * TICKS_PER_STEP / TICKS_PER_BEAT
        first_s = min(began_s for began_s, _, _ in played)
        notes = set()
        for began_s, ended_s, pitch in played:
            start = round((began_s - first_s) / step_s)
            end = max(start + 1, round((ended_s - first_s) / step_s))
            notes.add(Note(TICKS_PER_STEP * start, TICKS_PER_STEP * (end - start), pitch))
        return sorted(notes)
