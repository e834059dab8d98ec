"""The piece that plays as notation, for the page to engrave: bars, note values, spelling, ties."""

from __future__ import annotations

import functools
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response
from appliance.frontends.web.routing import PathParameter, Permission, RouteTable
from appliance.ipc.ring_observer import RingObserver
from appliance.music.events import Event, Piece, PieceStart
from appliance.music.files import notation
from appliance.music.files.notation import GRID_TICKS, Layer, Written
from appliance.music.files.parts_and_clefs import Staff, parts_of
from appliance.music.files.time_signatures import time_signature
from appliance.music.notes import Note, paired
from appliance.music.score import Key

MAX_BARS: Final = 48
"""More than are composed ahead and fit on a screen."""

_MAX_BAR_DIGITS: Final = 6


class ScoreKey(msgspec.Struct, frozen=True):
    """A notehead."""

    step: str
    """The letter, ``A`` to ``G``."""
    alter: int
    """Sharps, flats below 0."""
    octave: int
    """As written: 4 begins at middle C."""
    pitch: int
    """MIDI note number."""


class ScoreNote(msgspec.Struct, frozen=True):
    """A note, chord or rest."""

    tick: int
    """Where it begins, as in ``/api/roll``, to the nearest 10 ticks of its piece."""
    type: str
    """``whole``, ``half``, ``quarter``, ``eighth``, ``16th`` ... ``64th``; "" for none of them."""
    duration: int
    """In 48ths of a quarter note."""
    keys: list[ScoreKey]
    """From the lowest; empty for a rest."""
    dots: int = 0
    triplet: bool = False
    tied_from: bool = False
    """A tie comes from the note before."""
    tied_on: bool = False
    """A tie leads to the next note."""
    beam: str = ""
    """``begin``, ``continue`` or ``end`` of a beam."""


class ScoreBar(msgspec.Struct, frozen=True):
    """One bar of every staff."""

    number: int
    """From 1; 0 for a pickup."""
    tick: int
    end_tick: int
    staves: list[list[list[ScoreNote]]]
    """By staff, then by layer: lines of notes and rests. No layer: the staff rests."""


class Score(msgspec.Struct, frozen=True):
    """The composed bars of the piece that plays, from the one that was asked for."""

    piece: int
    """Its number; 0 before the first piece."""
    key_fifths: int
    """Sharps of the signature, flats below 0."""
    numerator: int
    denominator: int
    clefs: list[str]
    """Of each staff: ``treble``, ``tenor`` (treble, an octave lower), ``alto`` or ``bass``."""
    bars: list[ScoreBar]


_CLEFS: Final = {("G", 0): "treble", ("G", -1): "tenor", ("C", 0): "alto", ("F", 0): "bass"}


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the score."""
    observer = functools.cache(context.box.ring_observer)

    @table.route(
        "GET", "/api/score/{bar}", needs=Permission.READ, returns=Score, errors=(404,),
        summary="The piece that plays as notation, from a bar on, as far as it is composed",
        description=f"At most {MAX_BARS} bars, those that are composed as a whole.",
        parameters={
            "bar": PathParameter(
                "The first bar, from 1; 0 for a pickup",
                {"type": "integer", "minimum": 0, "maximum": 10**_MAX_BAR_DIGITS - 1},
                rf"\d{{1,{_MAX_BAR_DIGITS}}}",
            )
        },
    )  # fmt: skip
    async def get_score(request: web.Request) -> web.Response:
        follower: RingObserver = observer()
        follower.poll()
        piece = context.box.playing_piece()
        first_bar = int(request.match_info["bar"])
        return json_response(score_of(piece, follower.events, follower.horizon_tick, first_bar))


def score_of(piece: Piece, events: list[Event], horizon_tick: int, first_bar: int) -> Score:
    """Return the bars of ``piece`` from ``first_bar`` on that are composed as a whole.

    Args:
        piece: the one that plays; number 0: none does.
        events: the newest ones, in their order; those of other pieces are left out.
        horizon_tick: everything before this tick is composed.
        first_bar: as :attr:`ScoreBar.number`.
    """
    next_starts = (e.tick for e in events if isinstance(e, PieceStart) and e.number > piece.number)
    next_start = next(next_starts, None)
    end_tick = (horizon_tick if next_start is None else next_start) - piece.start_tick
    notes = _notes(piece, events, end_tick) if piece.number else []
    staves = [staff for part in parts_of(piece, notes) for staff in part.staves] if notes else []
    layers = [notation.layers(staff.notes) for staff in staves]
    offset = 0 if piece.pickup_ticks else 1
    spans = notation.bars(piece, notation.on_grid(end_tick)) if notes else []
    if next_start is None:
        spans = [span for span in spans if span[1] <= end_tick // GRID_TICKS]
    wanted = list(enumerate(spans, start=offset))[max(0, first_bar - offset) :][:MAX_BARS]
    signature = time_signature(piece)
    return Score(
        piece=piece.number,
        key_fifths=Key(piece.tonic, piece.minor).fifths,
        numerator=signature["numerator"],
        denominator=signature["denominator"],
        clefs=[_CLEFS[staff.clef.sign, staff.clef.octave_change] for staff in staves],
        bars=[_bar(piece, number, span, staves, layers) for number, span in wanted],
    )


def _notes(piece: Piece, events: list[Event], end_tick: int) -> list[Note]:
    """The notes of the piece; those that sound at the end of what is composed last beyond it."""
    found = []
    for on, off in paired(events):
        start = on.tick - piece.start_tick
        if 0 <= start < end_tick:
            end = off.tick - piece.start_tick if off else end_tick + GRID_TICKS
            found.append(Note(start, end - start, on.pitch, on.voice))
    return sorted(found)


def _bar(
    piece: Piece, number: int, span: tuple[int, int], staves: list[Staff], layers: list[list[Layer]]
) -> ScoreBar:
    beat = max(1, piece.beat_ticks // GRID_TICKS)
    fifths = Key(piece.tonic, piece.minor).fifths
    written = []
    for staff, staff_layers in zip(staves, layers, strict=True):
        bars = [notation.bar_of(layer, *span, beat) for layer in staff_layers]
        sounding = [bar for bar in bars if any(note.pitches for note in bar)]
        shift = staff.clef.octave_change
        written.append([[_note(piece, n, fifths, shift) for n in bar] for bar in sounding])
    first, last = (piece.start_tick + edge * GRID_TICKS for edge in span)
    return ScoreBar(number, first, last, written)


def _note(piece: Piece, written: Written, fifths: int, octave_change: int) -> ScoreNote:
    keys = []
    for pitch in written.pitches:
        step, alter, octave = notation.spelled(pitch, fifths)
        keys.append(ScoreKey(step, alter, octave - octave_change, pitch))
    return ScoreNote(
        tick=piece.start_tick + written.start * GRID_TICKS,
        type=written.value.type,
        duration=written.value.duration,
        keys=keys,
        dots=written.value.dots,
        triplet=written.value.triplet,
        tied_from=written.tied_from,
        tied_on=written.tied_on,
        beam=written.beams[0] if written.beams else "",
    )
