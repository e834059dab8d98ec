"""A recorded piece that is played again in place of composed music, a step at a time."""

from __future__ import annotations

from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    NO_PROGRAM,
    Event,
    NoteOff,
    Piece,
    PieceStart,
    TempoFactor,
)
from appliance.music.expression import BREATH_TICKS
from appliance.music.files.piece_record import PieceRecord
from appliance.music.notes import still_sounding

MAX_EVENTS_PER_STEP = 32
"""A chord has fewer; a file that was tampered with may have any number at one tick."""


class Replay:
    """Plays a record note for note; deterministic, so that a rewind or a restart can go on.

    Args:
        record: the piece.
        piece: as it is announced now; see :func:`piece_again`.

    Attributes:
        position: how many of the events are given out.
    """

    def __init__(self, record: PieceRecord, piece: Piece) -> None:
        start = piece.start_tick
        self.record = record
        self.piece = piece
        last_tick = start + record.length_ticks
        # A piece that was played to its end has its pause in it.
        self.end_tick = last_tick if record.complete else last_tick + BREATH_TICKS
        self._events: list[Event] = [
            PieceStart.of(piece),
            TempoFactor(start, FULL_TEMPO_PERMILLE),
            *(
                event._replace(tick=event.tick + start)
                for event in record.events()
                if not isinstance(event, PieceStart)
            ),
            TempoFactor(last_tick, FULL_TEMPO_PERMILLE),
        ]
        self.position = 0

    @property
    def is_over(self) -> bool:
        """Whether every event is given out."""
        return self.position >= len(self._events)

    @property
    def tick(self) -> int:
        """The tick up to which the music is complete."""
        return self.end_tick if self.is_over else self._events[self.position].tick

    def step(self) -> list[Event]:
        """Return the next events: all at one tick, in order."""
        first = last = self.position
        while (
            last < len(self._events)
            and last - first < MAX_EVENTS_PER_STEP
            and self._events[last].tick == self._events[first].tick
        ):
            last += 1
        self.position = last
        return self._events[first:last]

    def goes_on_after(self, events: list[Event]) -> bool:
        """Go on after ``events``; return whether they are the beginning of this piece."""
        self.position = len(events)
        return events == self._events[: len(events)]

    def release(self) -> list[Event]:
        """Return the events that end the piece here."""
        tick = self.tick
        sounding = still_sounding(self._events[: self.position])
        return [
            *(NoteOff(tick, note.voice, note.pitch) for note in sounding),
            TempoFactor(tick, FULL_TEMPO_PERMILLE),
        ]


def piece_again(
    record: PieceRecord, saved: int, start_tick: int, set_bpm: float, program: int
) -> Piece:
    """Return the piece as it is announced when it is played again.

    It sounds as fast as it did when it began to be played, whatever tempo is set now; turning the
    tempo afterwards makes it slower or quicker in proportion, as every piece. The instrument that
    played it is its own one, which plays unless somebody has chosen another.

    Args:
        record: the piece.
        saved: its number among the saved pieces.
        start_tick: where it begins.
        set_bpm: the tempo that is set now.
        program: General MIDI program of the instrument that played it.
    """
    piece = record.piece
    return piece._replace(
        start_tick=start_tick,
        tempo_permille=round(piece.tempo_permille * record.set_bpm(set_bpm) / set_bpm),
        program=program if 0 <= program < 128 else NO_PROGRAM,
        saved=saved,
    )
