"""Musical time, and the events that a composer writes and a performer plays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

TICKS_PER_BEAT = 480
"""Ticks in a quarter note, the resolution of a standard MIDI file (RP-001, division)."""

TICKS_PER_STEP = TICKS_PER_BEAT // 4
"""Ticks in a 16th note, the grid that the four-voice models compose on."""

FULL_TEMPO_PERMILLE = 1000
"""The tempo factor of music that is neither slowed down nor sped up."""

PLAIN_VELOCITY = 80
"""MIDI velocity of music in which no note is louder than another."""

MAX_TOKENS_PER_EVENT = 8

NO_PROGRAM = 255
"""In place of a General MIDI program: that of the settings."""


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
    """A quarter; three eighths in compound time; an eighth where eighths are counted."""
    form: int = 0
    """The number of its form in the model file, from 0."""
    kind: int = 0
    """The place of its kind in :data:`appliance.music.kinds.NAMES`; 0: unknown."""
    tempo_permille: int = FULL_TEMPO_PERMILLE
    """Its own tempo in thousandths of the tempo that is set: a sarabande is slower than a gigue."""
    group: int = 0
    """What it is a part of: the place in :data:`appliance.music.titles.GROUPS`; 0: of nothing."""
    place: int = 0
    """Its place in the group, from 1; 0 outside a group."""
    group_size: int = 0
    times: int = 1
    """How often the whole piece is played."""
    program: int = NO_PROGRAM
    """General MIDI program of the instrument that it is written for."""
    saved: int = 0
    """Number of the saved piece that is played again; 0: it is composed now."""

    def sounding_program(self, set_program: int, *, is_chosen: bool) -> int:
        """The General MIDI program that plays it: its own one, if nobody chose the set one."""
        own = self.program
        return set_program if is_chosen or own == NO_PROGRAM else own

    def sounding_bpm(self, set_bpm: float) -> float:
        """Its tempo, in quarter notes a minute, where the tempo ``set_bpm`` is set."""
        return set_bpm * self.tempo_permille / FULL_TEMPO_PERMILLE

    def bar_at(self, tick: int) -> int:
        """The bar that sounds at ``tick``: 0 during a pickup, then from 1."""
        bar_ticks = self.beats_per_bar * self.beat_ticks
        return (tick - self.start_tick - self.pickup_ticks) // bar_ticks + 1

    def beat_at(self, tick: int) -> int:
        """The beat of its bar that sounds at ``tick``, from 0."""
        beats = (tick - self.start_tick - self.pickup_ticks) // self.beat_ticks
        return beats % self.beats_per_bar


class NoteOn(NamedTuple):
    """A voice begins a note."""

    tick: int
    voice: int
    """From 0, the highest; the MIDI channel too."""
    pitch: int
    """MIDI note number, 0 to 127."""
    velocity: int
    """MIDI velocity, 1 to 127."""


class NoteOff(NamedTuple):
    """A voice releases a note.

    ``tick`` is where the note is written to end. How much earlier it is released depends on the
    expression it is played with: see :mod:`appliance.music.expression`.
    """

    tick: int
    voice: int
    pitch: int
    early_release_ticks: int = 0
    """How much earlier the note is released at full expression."""
    repeated_release_ticks: int = 0
    """The same, for a note that is struck again at once."""


class TempoFactor(NamedTuple):
    """From here on the music is played at ``permille`` thousandths of the tempo.

    Ritardandi, fermatas and the shape of a phrase are made of these.
    """

    tick: int
    permille: int


class PieceStart(NamedTuple):
    """A piece begins; the fields are those of :class:`Piece`."""

    tick: int
    number: int
    tonic: int
    minor: bool
    beats_per_bar: int
    pickup_ticks: int
    beat_ticks: int = TICKS_PER_BEAT
    form: int = 0
    kind: int = 0
    tempo_permille: int = FULL_TEMPO_PERMILLE
    group: int = 0
    place: int = 0
    group_size: int = 0
    times: int = 1
    program: int = NO_PROGRAM
    saved: int = 0

    @classmethod
    def of(cls, piece: Piece) -> PieceStart:
        """The event that announces ``piece``."""
        return cls(piece.start_tick, *piece[:5], *piece[6:])

    @property
    def piece(self) -> Piece:
        """The piece that begins."""
        return Piece(*self[1:6], self.tick, *self[6:])


class Tokens(NamedTuple):
    """The model's tokens of the step at ``tick``, for a composer that has to take over.

    Nothing is played for it.
    """

    tick: int
    tokens: bytes
    """One token (below 256) a byte, at most :data:`MAX_TOKENS_PER_EVENT`."""


Event = NoteOn | NoteOff | TempoFactor | PieceStart | Tokens
"""One event; a composer writes them in the order of their ticks.

Ticks count from the first piece of the session and never start again, so that a gap between two
pieces is silence and not a discontinuity.
"""

NoteEvent = NoteOn | NoteOff
"""For ``isinstance``, which is faster with a name than with an expression."""

EVENT_TYPES: dict[type[Event], str] = {
    NoteOn: "note_on",
    NoteOff: "note_off",
    TempoFactor: "tempo_factor",
    PieceStart: "piece_start",
    Tokens: "tokens",
}
"""The name of each type of event wherever events leave the process as text."""


def event_object(event: Event) -> dict[str, Any]:
    """The event as a JSON object: its ``type``, then its fields by their names."""
    return {"type": EVENT_TYPES[type(event)], **event._asdict()}


def token_events(tick: int, tokens: Sequence[int]) -> list[Event]:
    """The events that hold the tokens (each below 256) of the step that begins at ``tick``.

    Raises:
        ValueError: a token is 256 or more.
    """
    return [
        Tokens(tick, bytes(tokens[first : first + MAX_TOKENS_PER_EVENT]))
        for first in range(0, len(tokens), MAX_TOKENS_PER_EVENT)
    ]


def tokens_of(events: Iterable[Event]) -> list[int]:
    """Return the tokens that events hold, marks among them; see :func:`token_events`."""
    return [token for event in events if isinstance(event, Tokens) for token in event.tokens]
