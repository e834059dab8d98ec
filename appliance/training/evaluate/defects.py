"""A patient listener: what can be wrong with hours of music, found without the guard's help."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

from appliance.music.events import TICKS_PER_BEAT, Event, Kind
from appliance.training.evaluate.finished_pieces import Heard, Note, Step

BAR_BEATS = 4
"""What is called a bar here, whatever the metre."""
LOOP_DISTANCE_TICKS = 2 * BAR_BEATS * TICKS_PER_BEAT
"""Music that equals the music at most so long before it, again and again, is a loop."""
LOOP_ROWS = 64
ECHO_NOTES = 8
OPENING_TICKS = 4 * BAR_BEATS * TICKS_PER_BEAT
TRIADS = ({0, 4, 7}, {0, 3, 7}, {0, 4}, {0, 3}, {0, 7}, {0})
"""Pitch classes over the tonic with which a piece may close."""
LEADING_HOME = (2, 5, 7, 11)
"""From so many semitones over the tonic the bass comes home: dominant, leading note, plagal."""


class Judged(NamedTuple):
    """One piece.

    Attributes:
        frozen_beats: longest time without a change of what sounds; struck again is no change.
        silent_beats: longest silence within it.
        held_beats: longest single note.
        loop_beats: longest stretch that equals the music a fixed distance of at most two bars
            before it.
        repeated: share of the notes that end a run of eight which the piece has had before.
        at_home: the last chord is the tonic's, its root in the bass.
        by_cadence: and the bass comes to it from where it should.
    """

    beats: float
    frozen_beats: float
    silent_beats: float
    held_beats: float
    loop_beats: float
    repeated: float
    at_home: bool
    by_cadence: bool


def judged(piece: Heard) -> Judged:
    """What there is to say of a piece."""
    chords = piece.chords()
    frozen, silent = [0], [0]
    for sounds, together in groupby(chords, lambda chord: {*chord[2]}):
        some = list(together)
        (frozen if sounds else silent).append(some[-1][1] - some[0][0])
    at_home, by_cadence = _closing(piece)
    return Judged(
        beats=piece.ticks / TICKS_PER_BEAT,
        frozen_beats=max(frozen) / TICKS_PER_BEAT,
        silent_beats=max(silent) / TICKS_PER_BEAT,
        held_beats=max((note.length for note in piece.notes), default=0) / TICKS_PER_BEAT,
        loop_beats=_loop_ticks(piece) / TICKS_PER_BEAT,
        repeated=_repeated(piece),
        at_home=at_home,
        by_cadence=by_cadence,
    )


def _loop_ticks(piece: Heard) -> int:
    groups = piece.groups()
    ends = [at for at, _ in groups[1:]] + [piece.ticks]
    rows: deque[tuple[int, object]] = deque(maxlen=LOOP_ROWS)
    runs, longest = [0] * (LOOP_ROWS + 1), 0
    for (at, notes), end in zip(groups, ends, strict=True):
        row = (end - at, tuple(note.pitch for note in notes))
        for distance, (began, earlier) in enumerate(reversed(rows), 1):
            same = earlier == row and at - began <= LOOP_DISTANCE_TICKS
            runs[distance] = runs[distance] + end - at if same else 0
        rows.append((at, row))
        longest = max(longest, *runs)
    return longest


def _repeated(piece: Heard) -> float:
    """Whatever is repeated: pitches and waits, the lengths of notes aside."""
    signs = [(b.pitch, b.start - a.start) for a, b in pairwise(piece.notes)]
    before: set[tuple[tuple[int, int], ...]] = set()
    again = 0
    for at in range(ECHO_NOTES, len(signs) + 1):
        run = tuple(signs[at - ECHO_NOTES : at])
        again += run in before
        before.add(run)
    return again / max(1, len(piece.notes))


def _closing(piece: Heard) -> tuple[bool, bool]:
    if not piece.notes:
        return False, False
    last = piece.notes[-1].start
    chord = [note.pitch for note in piece.notes if note.end > last]
    bass, tonic = min(chord), piece.key.tonic
    at_home = (bass - tonic) % 12 == 0 and {(p - tonic) % 12 for p in chord} in TRIADS
    basses = [pitches[0] for _, end, pitches in piece.chords() if pitches and end <= last]
    approach = next((pitch for pitch in reversed(basses) if pitch != bass), bass)
    return at_home, at_home and (approach - tonic) % 12 in LEADING_HOME


@dataclass
class Report:
    """The worst of everything, in beats, and every piece.

    Attributes:
        silent_beats: longest silence anywhere, between pieces too.
        unmatched: notes left that did not sound, or struck in a voice that did.
        openings: the first four bars of every piece, relative to its tonic.
    """

    beats: float = 0.0
    notes: int = 0
    silent_beats: float = 0.0
    unmatched: int = 0
    pieces: list[Judged] = field(default_factory=list)
    given_up: int = 0
    late: int = 0
    openings: Counter[int] = field(default_factory=Counter)

    def worst(self, what: str) -> float:
        """The largest of an attribute of :class:`Judged` over all pieces."""
        return max((getattr(piece, what) for piece in self.pieces), default=0.0)

    def share(self, what: str) -> float:
        """The mean of an attribute of :class:`Judged` over all pieces."""
        return sum(getattr(piece, what) for piece in self.pieces) / max(1, len(self.pieces))

    @property
    def opened_alike(self) -> int:
        """Pieces that begin with the same four bars as one before them."""
        return sum(count - 1 for count in self.openings.values())


class Listener:
    """Takes finished pieces in order and keeps a :class:`Report`."""

    def __init__(self) -> None:
        self.report = Report()
        self._sounding: dict[int, int] = {}
        self._silent_since = 0

    def hear(self, piece: Heard, steps: Sequence[Step]) -> None:
        """Take in a piece and the calls of the composer that wrote it."""
        report = self.report
        for event in sorted((e for step in steps for e in step.events), key=lambda e: e.tick):
            self._event(event)
        report.beats = steps[-1].until / TICKS_PER_BEAT
        report.notes += len(piece.notes)
        report.pieces.append(judged(piece))
        report.given_up += piece.given_up
        report.late += piece.late
        report.openings[hash(_opening(piece))] += 1

    def _event(self, event: Event) -> None:
        if event.kind == Kind.NOTE_OFF:
            if self._sounding.pop(event.voice, None) != event.pitch:
                self.report.unmatched += 1
            self._silent_since = event.tick
        elif event.kind == Kind.NOTE_ON:
            if event.voice in self._sounding:
                self.report.unmatched += 1
            if not self._sounding:
                silent = (event.tick - self._silent_since) / TICKS_PER_BEAT
                self.report.silent_beats = max(self.report.silent_beats, silent)
            self._sounding[event.voice] = event.pitch


def _opening(piece: Heard) -> tuple[Note, ...]:
    tonic = piece.key.tonic
    begun = [note for note in piece.notes if note.start < OPENING_TICKS]
    return tuple(note._replace(pitch=note.pitch - tonic, voice=0) for note in begun)
