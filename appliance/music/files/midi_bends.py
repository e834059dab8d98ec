"""Which notes of a MIDI file the pitch wheel bends. They are read as the keys that are struck.

Source: MIDI 1.0 Detailed Specification, "Pitch Bend Change". The wheel moves a channel by two
semitones each way unless a file sets another range, which is not looked at here.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

_CENTRE: Final = 0x2000
_SEMITONE: Final = 0x1000
_HEARD: Final = _SEMITONE // 4
"""From here on a bend is heard as another pitch, not as vibrato."""


class BentNotes:
    """Takes the notes and the pitch wheels of a track, in order, and counts the bent notes."""

    def __init__(self) -> None:
        self.count = 0
        """How many notes begin while the wheel is away from its centre, or sound as it moves."""
        self._bent_channels: set[int] = set()
        self._sounding: dict[int, set[int]] = defaultdict(set)
        """By channel, the pitches that sound and are not counted yet."""

    def take_note(self, channel: int, pitch: int, velocity: int) -> None:
        """Take a note-on, or with velocity 0 a note-off."""
        if not velocity:
            self._sounding[channel].discard(pitch)
        elif channel in self._bent_channels:
            self.count += 1
        else:
            self._sounding[channel].add(pitch)

    def take_wheel(self, channel: int, value: int) -> None:
        """Take the place of a channel's pitch wheel, 0 to 16383."""
        if abs(value - _CENTRE) < _HEARD:
            self._bent_channels.discard(channel)
        else:
            self._bent_channels.add(channel)
            self.count += len(self._sounding[channel])
            self._sounding[channel].clear()
