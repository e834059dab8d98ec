"""Musical time and the events that travel from the composer to the ear."""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from typing import NamedTuple

TICKS_PER_BEAT = 480
"""Ticks in a quarter note, the resolution of a standard MIDI file (RP-001, division)."""

TICKS_PER_STEP = TICKS_PER_BEAT // 4
"""Ticks in a 16th note, the grid that the four-voice models compose on."""

AS_WRITTEN_PERMILLE = 1000
"""The pace of music that is neither held back nor pressed on."""


PLAIN_VELOCITY = 80
"""MIDI velocity of music in which no note is louder than another."""


class Kind(enum.IntEnum):
    """What an event asks the performer to do."""

    NOTE_ON = 1
    NOTE_OFF = 2
    PIECE = 3
    """A piece begins: see :func:`piece`."""
    PACE = 4
    """From here on, tempo times ``value`` / 1000: a ritardando, a fermata, a breath."""
    TOKENS = 5
    """Not music: what the model said, for a composer that has to take over (:func:`tokens`)."""


class Event(NamedTuple):
    """One event, in the order of its tick; the composer never emits one before the last.

    ``tick`` counts from the first piece of the session and never starts again, so that a
    gap between two pieces is a breath and not a discontinuity. ``voice`` is 0 for the
    highest, and the MIDI channel too.
    """

    tick: int
    kind: Kind
    voice: int = 0
    pitch: int = 0
    velocity: int = 0
    value: int = 0
    aux: int = 0


class Piece(NamedTuple):
    """What is known of a piece when it begins."""

    number: int
    """From 1, in the order played."""
    tonic: int
    """Pitch class of the tonic, 0 = C."""
    minor: bool
    beats_per_bar: int
    pickup_ticks: int
    """Ticks before the first full bar, 0 where the piece begins on a downbeat."""
    start_tick: int
    beat_ticks: int = TICKS_PER_BEAT
    """A quarter; three eighths in compound time; an eighth where that is counted."""

    def bar_at(self, tick: int) -> int:
        """The bar that sounds at ``tick``: 0 during a pickup, then from 1."""
        bar_ticks = self.beats_per_bar * self.beat_ticks
        return (tick - self.start_tick - self.pickup_ticks) // bar_ticks + 1

    def beat_at(self, tick: int) -> int:
        """The beat of its bar that sounds at ``tick``, from 0."""
        beats = (tick - self.start_tick - self.pickup_ticks) // self.beat_ticks
        return beats % self.beats_per_bar


def note_on(tick: int, voice: int, pitch: int, velocity: int) -> Event:
    """A voice begins a note (MIDI note 0..127, velocity 1..127)."""
    return Event(tick, Kind.NOTE_ON, voice, pitch, velocity)


def note_off(tick: int, voice: int, pitch: int) -> Event:
    """A voice leaves a note.

    ``value`` may say by how many ticks earlier it is left at full expression, ``aux`` by how many
    where the same note is struck again at once: see :mod:`appliance.music.expression`.
    """
    return Event(tick, Kind.NOTE_OFF, voice, pitch)


def pace(tick: int, permille: int) -> Event:
    """From ``tick`` on, play at ``permille`` thousandths of the tempo."""
    return Event(tick, Kind.PACE, value=permille)


def piece(about: Piece) -> Event:
    """The event that announces a piece."""
    return Event(
        about.start_tick,
        Kind.PIECE,
        voice=int(about.minor) | about.beat_ticks // TICKS_PER_STEP << 1,
        pitch=about.tonic,
        velocity=about.beats_per_bar,
        value=about.number,
        aux=about.pickup_ticks,
    )


def piece_of(event: Event) -> Piece:
    """The piece that an event of kind ``PIECE`` announces."""
    return Piece(
        number=event.value,
        tonic=event.pitch,
        minor=bool(event.voice & 1),
        beats_per_bar=event.velocity,
        pickup_ticks=event.aux,
        start_tick=event.tick,
        beat_ticks=(event.voice >> 1) * TICKS_PER_STEP,
    )


TOKENS_PER_EVENT = 8


def tokens(tick: int, said: Sequence[int]) -> list[Event]:
    """The model's tokens (each below 256) of the step that begins at ``tick``."""
    found = []
    for at in range(0, len(said), TOKENS_PER_EVENT):
        some = bytes(said[at : at + TOKENS_PER_EVENT])
        value, aux = struct.unpack("<ii", some.ljust(TOKENS_PER_EVENT, b"\0"))
        found.append(Event(tick, Kind.TOKENS, velocity=len(some), value=value, aux=aux))
    return found


def tokens_of(event: Event) -> list[int]:
    """The tokens that an event of kind ``TOKENS`` carries."""
    return list(struct.pack("<ii", event.value, event.aux)[: event.velocity])
