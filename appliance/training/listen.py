"""A patient listener: what can be wrong with hours of music, found without the guard's help."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from appliance.music.notes import TICKS_PER_BEAT, TICKS_PER_STEP, Event, Kind, Piece, piece_of
from appliance.music.score import VOICES

LOOP_DISTANCES = range(1, 33)
"""In 16th steps: music that equals the music so long before it, again and again, is a loop."""
TRIADS = ({0, 4, 7}, {0, 3, 7}, {0, 4}, {0, 3}, {0, 7}, {0})
"""Pitch classes over the tonic with which a piece may close."""


@dataclass
class Finished:
    """One whole piece."""

    piece: Piece
    beats: float
    closes_on_tonic: bool
    """The last chord is the tonic's, its root in the bass."""
    authentic: bool
    """The bass comes to it from the dominant or the leading note, or by a plagal step."""


@dataclass
class Report:
    """The worst of everything, in beats, and every piece.

    Attributes:
        frozen_beats: longest time without a change of pitch in any voice, within a piece.
        silent_beats: longest silence anywhere.
        held_beats: longest single note.
        loop_beats: longest stretch that equals the music a fixed distance of at most two
            bars before it, a frozen chord not counted.
        unmatched: note-offs without a note on, note-ons on a sounding voice.
    """

    beats: float = 0.0
    notes: int = 0
    frozen_beats: float = 0.0
    silent_beats: float = 0.0
    held_beats: float = 0.0
    loop_beats: float = 0.0
    unmatched: int = 0
    pieces: list[Finished] = field(default_factory=list)
    openings: Counter[int] = field(default_factory=Counter)
    """Hashes of the first 64 steps of every piece, relative to its tonic."""


class Listener:
    """Takes events in order and keeps a :class:`Report`."""

    def __init__(self) -> None:
        self.report = Report()
        self._sounding: dict[int, int] = {}
        self._since: dict[int, int] = {}
        self._changed = 0
        self._silent_since = 0
        self._piece: Piece | None = None
        self._rows: list[tuple[int, ...]] = []
        self._struck: list[tuple[object, ...]] = []
        self._runs = dict.fromkeys(LOOP_DISTANCES, 0)

    def hear(self, tick: int, events: list[Event], until: int) -> None:
        """Take in the ``events`` of one call of the composer, from ``tick`` to ``until``."""
        for event in events:
            if event.kind == Kind.PIECE:
                self._begin(event)
            elif event.kind in (Kind.NOTE_ON, Kind.NOTE_OFF):
                self._note(event)
        if self._piece is not None and until - tick == TICKS_PER_STEP:
            self._step(events)
        elif self._piece is not None and until > tick:
            self._finish(tick)
        now = until
        if self._sounding:
            chord = (now - self._changed) / TICKS_PER_BEAT
            self.report.frozen_beats = max(self.report.frozen_beats, chord)
            self._silent_since = now
            longest = max(now - self._since[voice] for voice in self._sounding) / TICKS_PER_BEAT
            self.report.held_beats = max(self.report.held_beats, longest)
        else:
            silent = (now - self._silent_since) / TICKS_PER_BEAT
            self.report.silent_beats = max(self.report.silent_beats, silent)
        self.report.beats = now / TICKS_PER_BEAT

    def _begin(self, event: Event) -> None:
        self._piece = piece_of(event)
        self._changed = event.tick
        self._rows, self._struck = [], []
        self._runs = dict.fromkeys(LOOP_DISTANCES, 0)

    def _note(self, event: Event) -> None:
        if event.kind == Kind.NOTE_OFF:
            if self._sounding.pop(event.voice, None) != event.pitch:
                self.report.unmatched += 1
            # A voice that strikes the same note again has not changed the chord.
            self._left = (event.tick, event.voice, event.pitch)
            return
        self.report.notes += 1
        if event.voice in self._sounding:
            self.report.unmatched += 1
        self._sounding[event.voice] = event.pitch
        self._since[event.voice] = event.tick
        if getattr(self, "_left", None) != (event.tick, event.voice, event.pitch):
            self._changed = event.tick

    def _step(self, events: list[Event]) -> None:
        self._rows.append(tuple(self._sounding.get(voice, -1) for voice in range(VOICES)))
        struck = tuple((e.voice, e.pitch) for e in events if e.kind == Kind.NOTE_ON)
        self._struck.append((self._rows[-1], struck))
        if len(self._rows) > 1 and self._rows[-1] == self._rows[-2] and not struck:
            still = all(row == self._rows[-1] for row in self._rows[-16:])
        else:
            still = False
        for distance in LOOP_DISTANCES:
            same = len(self._struck) > distance and self._struck[-1 - distance] == self._struck[-1]
            self._runs[distance] = self._runs[distance] + 1 if same and not still else 0
        longest = max(self._runs.values()) * TICKS_PER_STEP / TICKS_PER_BEAT
        self.report.loop_beats = max(self.report.loop_beats, longest)

    def _finish(self, tick: int) -> None:
        about, rows = self._piece, [row for row in self._rows if any(p >= 0 for p in row)]
        self._piece = None
        if about is None or not rows:
            return
        last = [p for p in rows[-1] if p >= 0]
        bass = [row[-1] for row in rows if row[-1] >= 0]
        approach = next((p for p in reversed(bass) if p != bass[-1]), bass[-1])
        tonic = bool(last) and last[-1] % 12 == about.tonic
        chord = {(p - about.tonic) % 12 for p in last}
        self.report.pieces.append(
            Finished(
                piece=about,
                beats=(tick - about.start_tick) / TICKS_PER_BEAT,
                closes_on_tonic=tonic and chord in TRIADS,
                authentic=tonic and (approach - about.tonic) % 12 in (2, 5, 7, 11),
            )
        )
        opening = tuple(tuple(p - about.tonic if p >= 0 else p for p in row) for row in rows[:64])
        self.report.openings[hash(opening)] += 1
