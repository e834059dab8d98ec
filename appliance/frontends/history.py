"""Keeps the last pieces, so that a listener can save one after it was played.

A piece takes a few kilobytes. The last :data:`MAX_PIECES` are in memory, and in a file that
survives a restart. The file is replaced as a whole, at the end and every ten minutes: that spares
an SD card, and a power cut loses the pieces of the last minutes only.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import math
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError
from appliance.music.events import Event, PieceStart
from appliance.music.files import piece_record
from appliance.music.files.piece_record import Change, PieceRecord, Value
from appliance.state.box_status import BoxStatus
from appliance.state.given_name_kinds import NOTHING
from appliance.state.piece_entry import PieceEntry, entry_fields
from appliance.state.setting_records import recorded
from appliance.state.settings import Action, RequestedSettings, Settings
from appliance.state.settings_ranges_and_steps import BY_NAME

FILE_NAME: Final = "pieces.json"

MAX_PIECES: Final = 50

MAX_PACKED_BYTES: Final = 4 << 20
"""All pieces together take at most this."""

MIN_NOTES: Final = 8
"""A piece with fewer notes was skipped, and is not kept."""

MAX_CHANGES: Final = 1000
"""How many changes of settings are kept with one piece; the oldest ones are merged."""

POLL_INTERVAL_S: Final = 0.5
"""How often the played events are read."""

WRITE_INTERVAL_S: Final = 600.0
"""How often the file is written."""

_MAX_FILE_BYTES: Final = 16 << 20

_CUT_SHORT_BY: Final = frozenset({Action.NEXT_PIECE, Action.RESTART_PIECE, "model"})
"""Changes after which the current piece does not come to its end."""

logger = logging.getLogger(__name__)


class HistoryEntry(PieceEntry, frozen=True, kw_only=True):
    """A piece in the list."""

    id: int
    """Rises by one with each piece, over restarts too."""
    playing: bool = False
    """It is being played, and only what has been played so far is in it."""


class _StoredPiece(msgspec.Struct, frozen=True):
    entry: HistoryEntry
    packed: bytes
    """See :func:`appliance.music.files.piece_record.pack`."""


class _CurrentPiece:
    """The piece that is being played."""

    def __init__(self, events: list[Event], instrument: Value) -> None:
        self.events = events
        self.instrument = instrument
        """What plays it as it begins: pieces can have instruments of their own."""
        self.start_tick = events[0].tick
        self.played_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.cut_short = False
        """Somebody asked for the next piece, a restart or another model."""


class History:
    """Keeps what is played; see :class:`appliance.frontends.base.Frontend`.

    Args:
        path: the file in which the pieces are stored.
    """

    name = "history"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pieces: deque[_StoredPiece] = deque()
        self._next_id = 1
        self._written_next_id = 0
        """:attr:`_next_id` when the file was last written."""
        self._current: _CurrentPiece | None = None
        self.on_finished: Callable[[int, PieceRecord], None] = lambda _id, _record: None
        """Called with each piece that is over, and its ID."""
        self._changes: deque[Change] = deque()
        """Changed settings, at the composer's ticks; the first entry is the state before that."""
        self._box: BoxStatus

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Keep what is played until cancelled."""
        self._box = box
        if not self._pieces:
            self._read()
        played = box.played_events()
        self._changes = deque([Change(0, recorded(self._box.settings()))])
        stop_observing = settings.observe(self._settings_changed)
        loop = asyncio.get_running_loop()
        write_at = loop.time() + WRITE_INTERVAL_S
        try:
            while True:
                self._add(played.poll())
                if loop.time() > write_at:
                    write_at = loop.time() + WRITE_INTERVAL_S
                    await asyncio.to_thread(self._write)
                await asyncio.sleep(POLL_INTERVAL_S)
        finally:
            stop_observing()
            self._add(played.poll())
            self._finish(math.ceil(box.playhead().tick), complete=False)
            self._write()

    def listing(self) -> list[HistoryEntry]:
        """Return the entries, the newest first."""
        current = self._current_record()
        first = [_entry(self._next_id, current, playing=True)] if current else []
        return first + [piece.entry for piece in reversed(self._pieces)]

    def get(self, entry_id: int) -> PieceRecord | None:
        """Return the piece with that ID, or None; of the current piece, what was played so far."""
        if entry_id == self._next_id:
            return self._current_record()
        for piece in self._pieces:
            if piece.entry.id == entry_id:
                return piece_record.unpack(piece.packed)
        return None

    def _add(self, events: list[Event] | None) -> None:
        """Add played events; None: some were missed, so the current piece is not kept."""
        if events is None:
            self._current = None
            return
        for event in events:
            if isinstance(event, PieceStart):
                self._finish(event.tick, complete=True)
                # A saved piece that is played again is kept already.
                if not event.saved:
                    self._current = _CurrentPiece([event], self._box.settings().instrument)
            elif self._current is not None:
                self._current.events.append(event)

    def _finish(self, end_tick: int, *, complete: bool) -> None:
        """Keep the current piece, which is over, and forget the changes during it."""
        current, self._current = self._current, None
        if current is None:
            return
        record = self._record(current, end_tick, complete and not current.cut_short)
        while len(self._changes) > 1 and self._changes[1].tick <= end_tick:
            self._merge_oldest_changes()
        if record.note_count < MIN_NOTES:
            return
        entry = _entry(self._next_id, record, playing=False)
        self._pieces.append(_StoredPiece(entry, piece_record.pack(record)))
        self._next_id += 1
        self.on_finished(entry.id, record)
        while len(self._pieces) > MAX_PIECES or self._packed_bytes() > MAX_PACKED_BYTES:
            self._pieces.popleft()

    def _packed_bytes(self) -> int:
        return sum(len(piece.packed) for piece in self._pieces)

    def _current_record(self) -> PieceRecord | None:
        """Return what has been played of the current piece; None if it is too short to keep."""
        if self._current is None:
            return None
        end_tick = max(math.ceil(self._box.playhead().tick), self._current.events[-1].tick)
        record = self._record(self._current, end_tick, complete=False)
        return record if record.note_count >= MIN_NOTES else None

    def _record(self, current: _CurrentPiece, end_tick: int, complete: bool) -> PieceRecord:
        at_start: dict[str, Value] = {}
        changes = []
        for change in self._changes:
            if change.tick <= current.start_tick:
                at_start |= change.settings
            elif change.tick < end_tick:
                changes.append(change)
        at_start["instrument"] = current.instrument
        return piece_record.record_piece(
            current.events,
            end_tick,
            model=str(at_start["model"]),
            seed=self._box.now_playing().seed,
            settings=at_start,
            changes=changes,
            complete=complete,
            played_at=current.played_at,
        )

    def _settings_changed(self, requested: RequestedSettings, changed: frozenset[str]) -> None:
        is_interrupted = "saved_piece" in changed and requested.saved_piece != NOTHING
        if self._current is not None and (is_interrupted or changed & _CUT_SHORT_BY):
            self._current.cut_short = True
        shown = self._box.settings()
        known = [BY_NAME[name] for name in changed & BY_NAME.keys()]
        names = [setting.name for setting in known if setting.is_kept and setting.group != "clock"]
        settings: dict[str, Value] = {name: getattr(shown, name) for name in names}
        if settings:
            tick = math.ceil(self._box.playhead().tick)
            if len(self._changes) > 1 and self._changes[-1].tick == tick:
                settings = self._changes.pop().settings | settings
            self._changes.append(Change(tick, settings))
        if len(self._changes) > MAX_CHANGES:
            self._merge_oldest_changes()

    def _merge_oldest_changes(self) -> None:
        first, second = self._changes.popleft(), self._changes.popleft()
        self._changes.appendleft(Change(first.tick, first.settings | second.settings))

    def _read(self) -> None:
        """Read the pieces that an earlier run has stored."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES)
            for piece in msgspec.json.decode(content, type=list[_StoredPiece])[-MAX_PIECES:]:
                piece_record.unpack(piece.packed)
                self._pieces.append(piece)
                self._next_id = max(self._next_id, piece.entry.id + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("%s: cannot read it (%s)", self._path, error.strerror)
        except (BachboxError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            logger.warning(
                "%s: not a history of pieces (%.100s), so the history starts empty",
                self._path, error,
            )  # fmt: skip
        self._written_next_id = self._next_id

    def _write(self) -> None:
        if self._written_next_id == self._next_id:
            return
        next_id = self._next_id
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path, msgspec.json.encode(list(self._pieces)))
            self._written_next_id = next_id
        except OSError as error:
            logger.warning("%s: the pieces cannot be stored (%s)", self._path, error.strerror)


def _entry(entry_id: int, record: PieceRecord, *, playing: bool) -> HistoryEntry:
    return HistoryEntry(id=entry_id, playing=playing, **entry_fields(record))
