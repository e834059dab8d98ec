"""Keeps the last pieces that were played, so that one that was liked can be taken home.

Each is some kilobytes; the last :data:`MAX_PIECES` stay in memory, and on disk over a restart.
They are written at the end and every ten minutes, as a whole: the pieces since then are all that
a power cut takes, and an SD card is spared.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import math
import os
from collections import deque
from pathlib import Path
from typing import Final

import msgspec

from appliance.errors import BachboxError
from appliance.music.events import AS_WRITTEN_PERMILLE, TICKS_PER_BEAT, Event, Kind
from appliance.music.files import piece_record
from appliance.music.files.piece_record import Change, PieceRecord, Value
from appliance.music.score import Key
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Action, RequestedSettings, Settings

FILE_NAME: Final = "pieces.json"

MAX_PIECES: Final = 50

MAX_PACKED_BYTES: Final = 4 << 20
"""Of all of them together."""

MIN_NOTES: Final = 8
"""With fewer it was passed over, and is not kept."""

MAX_CHANGES: Final = 1000
"""Of settings in one piece; the knob that turned on is then heard as where it was."""

POLL_INTERVAL_S: Final = 0.5

WRITE_S: Final = 600.0

_MAX_FILE_BYTES: Final = 16 << 20


class HistoryEntry(msgspec.Struct, frozen=True):
    """A piece on the list."""

    id: int
    """Goes on rising, over restarts too."""
    piece: int
    """Its number in its day's music."""
    key: str
    model: str
    seed: int
    instrument: str
    tempo: float
    notes: int
    seconds: int
    """About how long it lasts."""
    played_at: str
    complete: bool
    playing: bool = False
    """It is being played just now, and only what was heard of it is kept yet."""


class _OnDisk(msgspec.Struct, frozen=True):
    kept: HistoryEntry
    packed: bytes


class _Playing:
    """The piece that is played just now."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.start_tick = events[0].tick
        self.played_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.cut_short = False


class History:
    """See :class:`appliance.frontends.Frontend`; what is kept lies in ``path``."""

    name = "keepsakes"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pieces: deque[_OnDisk] = deque()
        self._next_id = 1
        self._written = 0
        """:attr:`_next_id` when the file was last written."""
        self._playing: _Playing | None = None
        self._turned: deque[Change] = deque()
        """What was set, at the composer's ticks; the first entry is the state before the rest."""
        self._box: BoxStatus

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Keep what is played until cancelled."""
        self._box = box
        if not self._pieces:
            self._read(box)
        played = box.played()
        self._turned = deque([Change(0, self._said())])
        forget = settings.observe(self._note)
        loop = asyncio.get_running_loop()
        write_at = loop.time() + WRITE_S
        try:
            while True:
                self._hear(played.look())
                if loop.time() > write_at:
                    write_at = loop.time() + WRITE_S
                    await asyncio.to_thread(self._write, box)
                await asyncio.sleep(POLL_INTERVAL_S)
        finally:
            forget()
            self._hear(played.look())
            self._finish(math.ceil(box.playhead().tick), complete=False)
            self._write(box)

    def listing(self) -> list[HistoryEntry]:
        """What there is, the newest first."""
        now = self._so_far()
        first = [self._about(self._next_id, now, playing=True)] if now else []
        return first + [piece.kept for piece in reversed(self._pieces)]

    def get(self, number: int) -> PieceRecord | None:
        """The piece with that id; what was heard of it, if it is being played."""
        if number == self._next_id:
            return self._so_far()
        for piece in self._pieces:
            if piece.kept.id == number:
                return piece_record.unpack(piece.packed)
        return None

    def _hear(self, events: list[Event] | None) -> None:
        if events is None:
            self._playing = None
            return
        for event in events:
            if event.kind is Kind.PIECE:
                self._finish(event.tick, complete=True)
                self._playing = _Playing([event])
            elif self._playing is not None:
                self._playing.events.append(event)

    def _finish(self, end_tick: int, *, complete: bool) -> None:
        """The piece that was played is over."""
        playing, self._playing = self._playing, None
        if playing is None:
            return
        kept = self._keepsake(playing, end_tick, complete and not playing.cut_short)
        while len(self._turned) > 1 and self._turned[1].tick <= end_tick:
            first = self._turned.popleft()
            after = self._turned[0]
            self._turned[0] = Change(after.tick, first.settings | after.settings)
        if kept.note_count < MIN_NOTES:
            return
        about = self._about(self._next_id, kept, playing=False)
        self._pieces.append(_OnDisk(about, piece_record.pack(kept)))
        self._next_id += 1
        while len(self._pieces) > MAX_PIECES or self._bytes() > MAX_PACKED_BYTES:
            self._pieces.popleft()

    def _bytes(self) -> int:
        return sum(len(piece.packed) for piece in self._pieces)

    def _so_far(self) -> PieceRecord | None:
        if self._playing is None:
            return None
        end_tick = max(math.ceil(self._box.playhead().tick), self._playing.events[-1].tick)
        now = self._keepsake(self._playing, end_tick, complete=False)
        return now if now.note_count >= MIN_NOTES else None

    def _keepsake(self, playing: _Playing, end_tick: int, complete: bool) -> PieceRecord:
        at_start: dict[str, Value] = {}
        changes = []
        for turned in self._turned:
            if turned.tick <= playing.start_tick:
                at_start |= turned.settings
            elif turned.tick < end_tick:
                changes.append(turned)
        return piece_record.of(
            playing.events,
            end_tick,
            model=str(at_start["model"]),
            seed=self._box.now_playing().seed,
            settings=at_start,
            changes=changes,
            complete=complete,
            played_at=playing.played_at,
        )

    def _note(self, _values: RequestedSettings, changed: frozenset[str]) -> None:
        """Somebody has set something."""
        if self._playing is not None and changed & {
            Action.NEXT_PIECE,
            Action.RESTART_PIECE,
            "model",
        }:
            self._playing.cut_short = True
        now = self._said()
        settings = {name: now[name] for name in changed if name in now}
        if settings:
            tick = math.ceil(self._box.playhead().tick)
            if len(self._turned) > 1 and self._turned[-1].tick == tick:
                settings = self._turned.pop().settings | settings
            self._turned.append(Change(tick, settings))
        if len(self._turned) > MAX_CHANGES:
            first, second = self._turned.popleft(), self._turned.popleft()
            self._turned.appendleft(Change(first.tick, first.settings | second.settings))

    def _said(self) -> dict[str, Value]:
        """The settings in force, as a person would say them."""
        return msgspec.structs.asdict(self._box.settings())

    @staticmethod
    def _about(number: int, kept: PieceRecord, *, playing: bool) -> HistoryEntry:
        piece = kept.piece
        tempo = kept.settings.get("tempo")
        tempo_bpm = float(tempo) if isinstance(tempo, int | float) else 80.0
        return HistoryEntry(
            id=number,
            piece=piece.number,
            key=str(Key(piece.tonic, piece.minor)),
            model=kept.model,
            seed=kept.seed,
            instrument=str(kept.settings.get("instrument", "")),
            tempo=tempo_bpm,
            notes=kept.note_count,
            seconds=round(_beats(kept) * 60 / tempo_bpm),
            played_at=kept.played_at,
            complete=kept.complete,
            playing=playing,
        )

    def _read(self, box: BoxStatus) -> None:
        """What an earlier run has kept."""
        try:
            with self._path.open("rb") as file:
                content = file.read(_MAX_FILE_BYTES)
            found = msgspec.json.decode(content, type=list[_OnDisk])
            for piece in found[-MAX_PIECES:]:
                piece_record.unpack(piece.packed)
                self._pieces.append(piece)
                self._next_id = max(self._next_id, piece.kept.id + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            box.say(f"bachbox: {self._path}: cannot read it ({error.strerror})")
        except (BachboxError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            box.say(f"bachbox: {self._path}: these are not our pieces ({error!s:.100}); forgotten")
        self._written = self._next_id

    def _write(self, box: BoxStatus) -> None:
        if self._written == self._next_id:
            return
        number, new = self._next_id, self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new.write_bytes(msgspec.json.encode(list(self._pieces)))
            with new.open("rb") as file:
                os.fsync(file.fileno())
            new.replace(self._path)
            self._written = number
        except OSError as error:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            box.say(f"bachbox: {self._path}: pieces cannot be kept ({error.strerror})")


def _beats(kept: PieceRecord) -> float:
    """How many beats of its tempo it lasts, held notes and all."""
    beats, permille, since = 0.0, AS_WRITTEN_PERMILLE, 0
    for event in kept.events():
        beats += (event.tick - since) / TICKS_PER_BEAT * AS_WRITTEN_PERMILLE / permille
        since = event.tick
        if event.kind is Kind.PACE:
            permille = event.value
    return beats
