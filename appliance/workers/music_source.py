"""What goes into the ring: what the composer composes, or a saved piece in its place."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.composing.replay import Replay, piece_again
from appliance.composing.snapshot import Snapshot
from appliance.errors import BachboxError
from appliance.ipc.shared_state import Action, LiveSettings
from appliance.music.events import NO_PROGRAM, Event, NoteOff, NoteOn, Piece, PieceStart
from appliance.music.expression import BREATH_TICKS
from appliance.music.files.piece_record import PieceRecord
from appliance.music.notes import still_sounding
from appliance.state import general_midi, saved_files

# As all messages of this process.
logger = logging.getLogger("appliance.workers.composer_process")


class Place(NamedTuple):
    """A place in a saved piece, to which it can be rewound."""

    tick: int
    replay: Replay
    position: int
    composed: Piece
    """The composed piece before it."""


class MusicSource:
    """Gives out the music, a step at a time.

    While a saved piece is played the composer stands between two pieces; after it, the composer
    continues with the piece that follows the one that it composed last.

    Args:
        composer: the composer.
        folder: of the saved pieces.
    """

    def __init__(self, composer: Composer, folder: Path | None) -> None:
        self.composer = composer
        self._folder = folder
        self._replay: Replay | None = None
        self._loaded: tuple[int, PieceRecord | None] = (-1, None)
        """The count of the action that asked for a saved piece, and the piece."""

    @property
    def tick(self) -> int:
        """The tick up to which the music is complete."""
        return self._replay.tick if self._replay else self.composer.tick

    @property
    def piece(self) -> Piece:
        """The piece that is being written."""
        return self._replay.piece if self._replay else self.composer.piece

    def step(self, compose: Callable[[], list[Event]]) -> list[Event]:
        """Return the next events; those of ``compose`` if no saved piece is played."""
        replay = self._replay
        if replay is None:
            return compose()
        events = replay.step()
        self.composer.counts.notes += sum(isinstance(event, NoteOn) for event in events)
        if replay.is_over:
            self._replay, self.composer.tick = None, replay.end_tick
        return events

    def place(self) -> Place | Snapshot | None:
        """Return what :meth:`restore` needs; None between two pieces."""
        replay = self._replay
        if replay is None:
            return self.composer.snapshot()
        return Place(replay.tick, replay, replay.position, self.composer.piece)

    def restore(self, place: Place | Snapshot) -> None:
        """Go back to a place."""
        if isinstance(place, Snapshot):
            self._replay = None
            self.composer.restore(place)
            return
        self._replay = place.replay
        self._replay.position = place.position
        self.composer.next_piece()
        self.composer.piece = place.composed

    def next_piece(self, *, restart: bool = False) -> list[Event]:
        """Abandon the piece at once, and return the events that release its notes.

        Args:
            restart: begin the same piece again instead of the next one.
        """
        replay = self._replay
        if replay is None:
            return self.composer.next_piece(restart=restart)
        events = replay.release()
        self._replay, self.composer.tick = None, replay.tick + BREATH_TICKS
        if restart:
            piece = replay.piece._replace(start_tick=self.composer.tick)
            self._replay = Replay(replay.record, piece)
        return events

    def change_model(self, model: ModelFile) -> list[Event]:
        """Abandon the piece, and compose the next one with another model.

        Raises:
            BachboxError: as :meth:`Composer.change_model`; everything stays as it was.
        """
        events = self.composer.change_model(model)
        return self.next_piece() if self._replay else events

    def load(self, settings: LiveSettings) -> None:
        """Read the saved piece that the last action asks for, while there is time."""
        if settings.action is Action.PLAY_SAVED and self._loaded[0] != settings.action_count:
            self._loaded = settings.action_count, self._read(settings.saved_piece)

    def play_saved(self, settings: LiveSettings) -> list[Event]:
        """Begin the piece that :meth:`load` has read; return what releases the present notes."""
        record = self._loaded[1]
        if record is None:
            return []
        composed, tick = self.composer.piece, self.tick
        events = self.next_piece()
        if composed.number and tick == composed.start_tick:
            # It has only been announced, so it is the next one after the saved piece.
            self.composer.piece = composed._replace(number=composed.number - 1)
        piece = piece_again(
            record, settings.saved_piece, self.composer.tick, settings.tempo_bpm, _program(record)
        )
        self._replay = Replay(record, piece)
        return events

    def resume(
        self, events: list[Event], horizon_tick: int, playing: Piece, composed_number: int
    ) -> list[Event]:
        """Take over from a process that died; see :meth:`Composer.resume`.

        Args:
            events: everything since (and with) the last :class:`PieceStart`.
            horizon_tick: the tick up to which the music was complete.
            playing: the piece that is heard.
            composed_number: number of the newest composed piece.

        Raises:
            BachboxError: as :meth:`Composer.resume`.
        """
        composer = self.composer
        composer.piece = playing._replace(number=composed_number) if playing.saved else playing
        first = events[0] if events else None
        if not (isinstance(first, PieceStart) and first.saved):
            return composer.resume(events, horizon_tick)
        composer.piece = composer.piece._replace(number=composed_number)
        composer.tick = horizon_tick
        record = self._read(first.saved)
        replay = Replay(record, first.piece) if record else None
        if replay is not None and replay.goes_on_after(events):
            self._replay = None if replay.is_over else replay
            return []
        return [NoteOff(horizon_tick, n.voice, n.pitch) for n in still_sounding(events)]

    def _read(self, saved: int) -> PieceRecord | None:
        try:
            if self._folder is None:
                raise BachboxError("this box keeps no pieces")
            return saved_files.read(saved_files.path_of(self._folder, saved)).record
        except BachboxError as why:
            logger.warning("%s; the music goes on without it", why)
            return None


def _program(record: PieceRecord) -> int:
    """Return the General MIDI program that played a piece."""
    instrument = record.settings.get("instrument")
    names = general_midi.NAMES
    return names.index(instrument) if instrument in names else NO_PROGRAM
