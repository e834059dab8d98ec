"""A piece that was played, with everything that it takes to play it again note for note.

The notes themselves are kept, not only the seed: temperature may have been turned in the midst of
the piece, and another runtime draws other notes from the same seed. How it was played is kept as
names and values of the settings, whatever settings there are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance import __version__
from appliance.errors import BachboxError, UsageError
from appliance.music.events import Event, NoteOff, NoteOn, Piece, PieceStart, TempoFactor
from appliance.music.files.recorded_events import (
    RecordedEvent,
    RecordedNoteOn,
    RecordedPieceStart,
    Tick,
    record,
    replay,
)
from appliance.music.score import Key

FORMAT: Final = 2

MAGIC: Final = b"BachboxKeepsake1"
"""Before the compressed JSON, wherever it is put."""

MAX_PACKED_BYTES: Final = 1 << 20
MAX_BYTES: Final = 16 << 20
MAX_EVENTS: Final = 100_000
"""A piece has some hundred; a minute of the densest keyboard music some thousand."""

VOICES: Final = 15
"""What there are MIDI channels for, the drums' left out."""

_TEMPO_FACTORS_PERMILLE: Final = range(200, 5001)
_BEATS_PER_BAR: Final = range(1, 65)

Value = str | bool | int | float | None

_Text = Annotated[str, Meta(max_length=200)]
_Name = Annotated[str, Meta(max_length=50)]
_Settings = dict[_Name, _Text | bool | int | float | None]


class Change(msgspec.Struct, frozen=True):
    """What somebody set while it played."""

    tick: Tick
    """Of the piece."""
    settings: _Settings


class PieceRecord(msgspec.Struct, frozen=True):
    """One piece. Ticks count from its beginning."""

    made_by: _Text
    """Program and version."""
    model: _Text
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    settings: _Settings
    """In force at the beginning, by the names that they have everywhere."""
    changes: list[Change]
    length_ticks: Tick
    complete: bool
    """Heard to its end; not one that was asked for while it played, or left for the next."""
    recorded: Annotated[list[RecordedEvent], Meta(min_length=1, max_length=MAX_EVENTS)] = (
        msgspec.field(name="events")
    )
    """The events, without tokens; the first is the start of the piece."""
    played_at: _Text = ""
    """When it began, ISO 8601; "" where it was rendered."""
    format: int = FORMAT

    @property
    def piece(self) -> Piece:
        """Number, key and meter."""
        start = replay(self.recorded[0])
        assert isinstance(start, PieceStart)
        return start.piece

    @property
    def title(self) -> str:
        """For people."""
        about = self.piece
        return f"Bachbox, piece {about.number} in {Key(about.tonic, about.minor)}"

    @property
    def note_count(self) -> int:
        """How many notes it has."""
        return sum(isinstance(event, RecordedNoteOn) for event in self.recorded)

    def events(self) -> Iterator[Event]:
        """The events in order; what still sounds at the end is left there."""
        sounding: dict[tuple[int, int], None] = {}
        for event in map(replay, self.recorded):
            if isinstance(event, NoteOn):
                sounding[event.voice, event.pitch] = None
            elif isinstance(event, NoteOff):
                sounding.pop((event.voice, event.pitch), None)
            yield event
        for voice, pitch in sounding:
            yield NoteOff(self.length_ticks, voice, pitch)

    def described(self) -> str:
        """What made it, in one line for people."""
        settings = ", ".join(
            f"{name} {_said(value)}"
            for name, value in self.settings.items()
            if name not in ("model", "playing")
        )
        changed = f"; changed {len(self.changes)} times meanwhile" if self.changes else ""
        return f"{self.made_by}: model {self.model}, seed {self.seed}, {settings}{changed}"


def of(
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
    """A piece from its first event (which announces it) on; the ticks are the composer's."""
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


def pack(keepsake: PieceRecord) -> bytes:
    """Everything in some kilobytes."""
    return MAGIC + zlib.compress(msgspec.json.encode(keepsake), 9)


def unpack(content: bytes) -> PieceRecord:
    """What :func:`pack` made; more may follow it.

    Raises:
        BachboxError: it is none, a damaged one, or of a later version; the sentence says which.
    """
    if not content.startswith(MAGIC):
        raise BachboxError("there is no piece of Bachbox in it")
    unzip = zlib.decompressobj()
    try:
        packed = memoryview(content)[len(MAGIC) : len(MAGIC) + MAX_PACKED_BYTES]
        text = unzip.decompress(packed, MAX_BYTES)
        if not unzip.eof:
            raise BachboxError("the piece in it is cut short, or larger than any of ours")
        kept = msgspec.json.decode(text, type=_Format)
        if kept.format != FORMAT:
            raise BachboxError(
                f"the piece in it is of format {kept.format}, this Bachbox reads {FORMAT}; "
                "update the one that is older"
            )
        keepsake = msgspec.json.decode(text, type=PieceRecord)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as why:
        raise BachboxError(f"the piece in it is damaged ({why!s:.200})") from why
    _check(keepsake)
    return keepsake


class _Format(msgspec.Struct):
    """Read first: another format may have other fields."""

    format: int


def _check(keepsake: PieceRecord) -> None:
    """Whether it can be played.

    Raises:
        BachboxError: it cannot.
    """
    tick = 0
    for at, recorded in enumerate(keepsake.recorded):
        event = replay(recorded)
        if event.tick < tick or event.tick > keepsake.length_ticks:
            raise BachboxError(f"the piece in it is damaged: event {at} is out of order")
        tick = event.tick
        if wrong := _wrong(event, first=at == 0):
            raise BachboxError(f"the piece in it is damaged: event {at} {wrong}")


def _wrong(event: NoteOn | NoteOff | TempoFactor | PieceStart, *, first: bool) -> str:
    """What is wrong with an event, "" if nothing is."""
    if isinstance(event, PieceStart) != first:
        return "begins another piece" if not first else "does not begin the piece"
    if isinstance(event, PieceStart):
        bar_ticks = event.beats_per_bar * event.beat_ticks
        fits = event.tonic < 12 and event.beats_per_bar in _BEATS_PER_BAR and bar_ticks > 0
        fits = fits and event.pickup_ticks < bar_ticks
        return "" if fits and event.tick == 0 else "has no key or meter that there is"
    if isinstance(event, TempoFactor):
        return "" if event.permille in _TEMPO_FACTORS_PERMILLE else "has an impossible tempo"
    velocity = event.velocity if isinstance(event, NoteOn) else 0
    if event.voice >= VOICES or event.pitch > 127 or velocity > 127:
        return "is no note that there is"
    return ""


def _said(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def require(keepsake: PieceRecord) -> PieceRecord:
    """``keepsake``, if it has a note in it.

    Raises:
        UsageError: it has none.
    """
    if not keepsake.note_count:
        raise UsageError("the piece in it has no notes")
    return keepsake
