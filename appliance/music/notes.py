"""Notes with a beginning and a length, and the pairing of note-ons with note-offs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from appliance.music.events import Event, NoteOff, NoteOn


class Note(NamedTuple):
    """A note, in ticks since the piece or the file began."""

    start: int
    length: int
    pitch: int
    """MIDI note, 0 to 127."""
    voice: int = 0
    """Voice or part, from 0; 0 as well where the music has no separate voices."""

    @property
    def end(self) -> int:
        """The tick at which the note ends."""
        return self.start + self.length


def paired(events: Iterable[Event]) -> list[tuple[NoteOn, NoteOn | NoteOff | None]]:
    """Each note-on with the event that ends its note, in the order of the note-ons.

    A note ends with the next note-off of its voice and pitch, or with the next note-on of them if
    that comes first. ``None`` stands for the end of a note that sounds after the last event.
    Note-offs without a note are skipped, and so are events of other kinds.
    """
    pairs: list[tuple[NoteOn, NoteOn | NoteOff | None]] = []
    sounding: dict[tuple[int, int], int] = {}
    for event in events:
        if not isinstance(event, NoteOn | NoteOff):
            continue
        index = sounding.pop((event.voice, event.pitch), None)
        if index is not None:
            pairs[index] = (pairs[index][0], event)
        if isinstance(event, NoteOn):
            sounding[event.voice, event.pitch] = len(pairs)
            pairs.append((event, None))
    return pairs


def still_sounding(events: Iterable[Event]) -> list[NoteOn]:
    """The note-ons whose notes sound after the last of ``events``, in their order."""
    return [note_on for note_on, end in paired(events) if end is None]


def notes_from(events: Iterable[Event], start_tick: int = 0) -> list[Note]:
    """The notes that end within ``events``, in the order of their beginnings.

    Args:
        events: in order of tick.
        start_tick: the tick at which the piece begins, from which the notes' ticks count.
    """
    return [
        Note(on.tick - start_tick, end.tick - on.tick, on.pitch, on.voice)
        for on, end in paired(events)
        if end is not None
    ]


def is_line(part: Sequence[Note]) -> bool:
    """Whether a part has one note at a time, but for one in ten."""
    ends = 0
    overlapping = 0
    for note in part:
        overlapping += note.start < ends
        ends = max(ends, note.end)
    return overlapping <= len(part) // 10
