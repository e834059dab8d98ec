"""The events of a piece record as JSON: objects with a ``type`` and the event's own fields."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from appliance.music import kinds, titles
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    NO_PROGRAM,
    Event,
    NoteOff,
    NoteOn,
    PieceStart,
    TempoFactor,
)

Tick = Annotated[int, Meta(ge=0, le=1 << 21)]
"""At most an hour or so, so that no file can keep a renderer busy for days."""

_Small = Annotated[int, Meta(ge=0, le=255)]
_Number = Annotated[int, Meta(ge=0, lt=1 << 31)]
_Name = Annotated[str, Meta(max_length=50)]
_Release = Annotated[int, Meta(ge=0, le=65535)]


class RecordedNoteOn(msgspec.Struct, frozen=True, tag_field="type", tag="note_on"):
    """See :class:`appliance.music.events.NoteOn`."""

    tick: Tick
    voice: _Small
    pitch: _Small
    velocity: _Small


class RecordedNoteOff(msgspec.Struct, frozen=True, tag_field="type", tag="note_off"):
    """See :class:`appliance.music.events.NoteOff`."""

    tick: Tick
    voice: _Small
    pitch: _Small
    early_release_ticks: _Release = 0
    repeated_release_ticks: _Release = 0


class RecordedTempoFactor(msgspec.Struct, frozen=True, tag_field="type", tag="tempo_factor"):
    """See :class:`appliance.music.events.TempoFactor`."""

    tick: Tick
    permille: _Number


class RecordedPieceStart(msgspec.Struct, frozen=True, tag_field="type", tag="piece_start"):
    """See :class:`appliance.music.events.PieceStart`."""

    tick: Tick
    number: _Number
    tonic: _Small
    minor: bool
    beats_per_bar: _Small
    pickup_ticks: _Number
    beat_ticks: _Number
    form: _Number = 0
    kind: _Name = ""
    """Its name, because no number outlives a version."""
    tempo_permille: _Number = FULL_TEMPO_PERMILLE
    group: _Name = ""
    place: _Small = 0
    group_size: _Small = 0
    times: _Small = 1
    program: _Small = NO_PROGRAM


RecordedEvent = RecordedNoteOn | RecordedNoteOff | RecordedTempoFactor | RecordedPieceStart


def record(event: Event, start_tick: int) -> RecordedEvent | None:
    """Return the event with its tick counted from ``start_tick``; ``None`` for tokens."""
    tick = event.tick - start_tick
    if isinstance(event, NoteOn):
        return RecordedNoteOn(tick, *event[1:])
    if isinstance(event, NoteOff):
        return RecordedNoteOff(tick, *event[1:])
    if isinstance(event, TempoFactor):
        return RecordedTempoFactor(tick, event.permille)
    if isinstance(event, PieceStart):
        fields = {name: getattr(event, name) for name in RecordedPieceStart.__struct_fields__}
        named = {"kind": kinds.NAMES[event.kind], "group": titles.GROUPS[event.group]}
        return RecordedPieceStart(**{**fields, "tick": tick, **named})
    return None


def replay(recorded: RecordedEvent) -> NoteOn | NoteOff | TempoFactor | PieceStart:
    """Return the event that was recorded, its tick counted from the beginning of the piece."""
    fields = msgspec.structs.astuple(recorded)
    if isinstance(recorded, RecordedNoteOn):
        return NoteOn(*fields)
    if isinstance(recorded, RecordedNoteOff):
        return NoteOff(*fields)
    if isinstance(recorded, RecordedTempoFactor):
        return TempoFactor(*fields)
    kind = kinds.NAMES.index(recorded.kind) if recorded.kind in kinds.NAMES else 0
    group = titles.GROUPS.index(recorded.group) if recorded.group in titles.GROUPS else 0
    return PieceStart(*fields)._replace(kind=kind, group=group)
