"""What a list shows of a recorded piece."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from appliance.music.events import FULL_TEMPO_PERMILLE, TICKS_PER_BEAT, TempoFactor
from appliance.music.files.piece_record import PieceRecord
from appliance.music.score import Key
from appliance.music.titles import piece_title

_DEFAULT_BPM: Final = 80.0
"""For records that state no tempo; those from Bachbox state one."""


class PieceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A piece in a list."""

    piece: int
    """The number of the piece since the box was started."""
    key: str
    title: str
    """Such as "Sarabande in g minor"."""
    model: str
    seed: int
    instrument: str
    tempo: float
    notes: int
    seconds: int
    """Its approximate length."""
    played_at: str
    """When it began: UTC, in ISO 8601."""
    complete: bool
    """It was played from the beginning to the end."""


def entry_fields(record: PieceRecord) -> dict[str, Any]:
    """Return the fields of a :class:`PieceEntry` about ``record``."""
    piece = record.piece
    tempo_bpm = round(piece.sounding_bpm(record.set_bpm(_DEFAULT_BPM)), 1)
    return {
        "piece": piece.number,
        "key": str(Key(piece.tonic, piece.minor)),
        "title": piece_title(piece),
        "model": record.model,
        "seed": record.seed,
        "instrument": str(record.settings.get("instrument", "")),
        "tempo": tempo_bpm,
        "notes": record.note_count,
        "seconds": round(_length_beats(record) * 60 / tempo_bpm),
        "played_at": record.played_at,
        "complete": record.complete,
    }


def _length_beats(record: PieceRecord) -> float:
    """Return the length of a piece in beats of its tempo, with fermatas and slower passages."""
    beats, permille, since = 0.0, FULL_TEMPO_PERMILLE, 0
    for event in record.events():
        beats += (event.tick - since) / TICKS_PER_BEAT * FULL_TEMPO_PERMILLE / permille
        since = event.tick
        if isinstance(event, TempoFactor):
            permille = event.permille
    return beats
