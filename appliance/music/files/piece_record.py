"""A record of one piece that was played, from which it can be played again note for note.

The notes themselves are recorded, not only the seed: temperature may have been changed in the
middle of the piece, and another runtime draws other notes from the same seed. The settings are
recorded by name and value, whatever settings there are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance import __version__
from appliance.errors import BachboxError, UsageError
from appliance.music import limits
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor
from appliance.music.files.recorded_events import (
    RecordedEvent,
    RecordedNoteOn,
    Tick,
    record,
    replay,
)
from appliance.music.notes import still_sounding
from appliance.music.titles import piece_title

FORMAT: Final = 2

MAGIC: Final = b"BachboxPiece"
"""The mark before the compressed JSON, by which a record is found in a file."""

MAX_PACKED_BYTES: Final = 1 << 20
MAX_BYTES: Final = 16 << 20
MAX_EVENTS: Final = 100_000
"""A piece has a few hundred; a minute of the densest keyboard music has a few thousand."""

VOICES: Final = 15
"""There is a MIDI channel for each; the drum channel is left out."""

_TEMPO_FACTORS_PERMILLE: Final = range(200, 5001)
_BEATS_PER_BAR: Final = range(1, 65)
_BAR_TICKS: Final = range(1, 1 << 16)

Value = str | bool | int | float | None

_Text = Annotated[str, Meta(max_length=200)]
_Name = Annotated[str, Meta(max_length=50)]
_Settings = dict[_Name, _Text | bool | int | float | None]


class Change(msgspec.Struct, frozen=True):
    """Settings that were changed while the piece played."""

    tick: Tick
    """Since the piece began; in :func:`record_piece`, since the session began."""
    settings: _Settings


class PieceRecord(msgspec.Struct, frozen=True):
    """One piece. All ticks count from its beginning."""

    made_by: _Text
    """Program and version, such as ``Bachbox 0.2.0``."""
    model: _Text
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    settings: _Settings
    """The effective settings at the beginning, by name."""
    changes: list[Change]
    length_ticks: Tick
    complete: bool
    """Played to its end; false for one that was saved while it played, or skipped."""
    recorded: Annotated[list[RecordedEvent], Meta(min_length=1, max_length=MAX_EVENTS)] = (
        msgspec.field(name="events")
    )
    """The events, without tokens; the first is the start of the piece."""
    played_at: _Text = ""
    """When it began, ISO 8601; "" if it was rendered to a file."""
    format: int = FORMAT

    @property
    def piece(self) -> Piece:
        """Number, key and meter of the piece."""
        start = replay(self.recorded[0])
        assert isinstance(start, PieceStart)
        return start.piece

    @property
    def title(self) -> str:
        """A title for people, such as ``Sarabande in a minor, by Bachbox``."""
        return f"{piece_title(self.piece)}, by Bachbox"

    @property
    def note_count(self) -> int:
        """How many notes the piece has."""
        return sum(isinstance(event, RecordedNoteOn) for event in self.recorded)

    def set_bpm(self, default_bpm: float) -> float:
        """The tempo that was set at the beginning, in BPM; the default if none is stated."""
        tempo = self.settings.get("tempo")
        low, high = limits.TEMPO_BPM
        is_number = isinstance(tempo, int | float) and not isinstance(tempo, bool)
        return float(tempo) if is_number and low <= tempo <= high else default_bpm  # type: ignore[operator,arg-type]

    def events(self) -> Iterator[Event]:
        """The events in order; notes that still sound at the end are released there."""
        events = [replay(recorded) for recorded in self.recorded]
        yield from events
        for note in still_sounding(events):
            yield NoteOff(self.length_ticks, note.voice, note.pitch)

    @property
    def description(self) -> str:
        """One line for people: program, model, seed and settings."""
        settings = ", ".join(
            f"{name} {_formatted(value)}"
            for name, value in self.settings.items()
            if name not in ("model", "playing")
        )
        changed = f"; changed {len(self.changes)} times while it played" if self.changes else ""
        return f"{self.made_by}: model {self.model}, seed {self.seed}, {settings}{changed}"


def record_piece(
    events: Iterable[Event],
    end_tick: int,
    *,
    model: str,
    seed: int,
    settings: Mapping[str, Value],
    changes: Sequence[Change] = (),
    complete: bool = True,
    played_at: str = "",
) -> PieceRecord:
    """Record a piece.

    Args:
        events: of the piece, in order of tick, the start of the piece first. Ticks count from the
            beginning of the session.
        end_tick: where the piece ends, in ticks of the session.
        model: name of the model.
        seed: of the composer.
        settings: the effective ones at the beginning.
        changes: of settings while it played, in ticks of the session.
        complete: whether it was played to its end.
        played_at: when it began, ISO 8601.
    """
    events = list(events)
    start_tick = events[0].tick
    recorded = [record(event, start_tick) for event in events]
    return PieceRecord(
        made_by=f"Bachbox {__version__}",
        model=model,
        seed=seed,
        settings=dict(settings),
        changes=[Change(c.tick - start_tick, c.settings) for c in changes],
        length_ticks=end_tick - start_tick,
        complete=complete,
        recorded=[event for event in recorded if event is not None],
        played_at=played_at,
    )


def pack(piece: PieceRecord) -> bytes:
    """A record as bytes: :data:`MAGIC`, then compressed JSON; some kilobytes in all."""
    return MAGIC + zlib.compress(msgspec.json.encode(piece), 9)


def unpack(content: bytes) -> PieceRecord:
    """The record that begins ``content``, as :func:`pack` wrote it; more bytes may follow.

    Raises:
        BachboxError: there is none, it is damaged, or it has another format; the message says
            which.
    """
    if not content.startswith(MAGIC):
        raise BachboxError("there is no piece recorded by Bachbox in it")
    unzip = zlib.decompressobj()
    try:
        packed = memoryview(content)[len(MAGIC) : len(MAGIC) + MAX_PACKED_BYTES]
        text = unzip.decompress(packed, MAX_BYTES)
        if not unzip.eof:
            raise BachboxError("the piece in it is cut short, or larger than 16 MiB")
        found = msgspec.json.decode(text, type=_Format).format
        if found != FORMAT:
            raise BachboxError(
                f"the piece in it has format {found}, but this Bachbox reads {FORMAT}; "
                "update the one that is older"
            )
        piece = msgspec.json.decode(text, type=PieceRecord)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as why:
        raise BachboxError(f"the piece in it is damaged ({why!s:.200})") from why
    _check(piece)
    return piece


class _Format(msgspec.Struct):
    """Decoded first, because another format may have other fields."""

    format: int


def _check(piece: PieceRecord) -> None:
    """Check that the events can be played.

    Raises:
        BachboxError: they cannot.
    """
    tick = 0
    for index, recorded in enumerate(piece.recorded):
        event = replay(recorded)
        if event.tick < tick or event.tick > piece.length_ticks:
            raise BachboxError(f"the piece in it is damaged: event {index} is out of order")
        tick = event.tick
        if wrong := _wrong(event, first=index == 0):
            raise BachboxError(f"the piece in it is damaged: event {index} {wrong}")


def _wrong(event: NoteOn | NoteOff | TempoFactor | PieceStart, *, first: bool) -> str:
    """What is wrong with an event, "" if nothing is."""
    if isinstance(event, PieceStart) != first:
        return "begins another piece" if not first else "does not begin the piece"
    if isinstance(event, PieceStart):
        bar_ticks = event.beats_per_bar * event.beat_ticks
        fits = event.tonic < 12 and event.beats_per_bar in _BEATS_PER_BAR
        fits = fits and bar_ticks in _BAR_TICKS and event.pickup_ticks < bar_ticks
        if event.tempo_permille not in _TEMPO_FACTORS_PERMILLE:
            return "has an impossible tempo"
        return "" if fits and event.tick == 0 else "has an impossible key or meter"
    if isinstance(event, TempoFactor):
        return "" if event.permille in _TEMPO_FACTORS_PERMILLE else "has an impossible tempo"
    velocity = event.velocity if isinstance(event, NoteOn) else 0
    if event.voice >= VOICES or event.pitch > 127 or velocity > 127:
        return "is not a note: its voice, pitch or velocity is out of range"
    return ""


def _formatted(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def require_notes(piece: PieceRecord) -> PieceRecord:
    """Return ``piece`` unchanged if it has notes.

    Raises:
        UsageError: it has no notes.
    """
    if not piece.note_count:
        raise UsageError("the piece in it has no notes")
    return piece
