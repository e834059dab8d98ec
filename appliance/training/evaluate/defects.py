"""Defects in composed music: frozen chords, silences, loops, repetition, poor endings.

The music is checked as notes, without anything that the composer's own stall detector knows.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import NamedTuple

from appliance.music.events import TICKS_PER_BEAT, Event, NoteOff, NoteOn
from appliance.music.notes import Note
from appliance.training.evaluate.finished_pieces import ComposerStep, FinishedPiece

BAR_BEATS = 4
"""The length of a bar in this module, whatever the meter."""
MAX_LOOP_DISTANCE_TICKS = 2 * BAR_BEATS * TICKS_PER_BEAT
"""Music is a loop if it equals, again and again, the music at most this long before."""
MAX_LOOP_GROUPS = 64
"""Loops of more onset groups than this are not found."""
REPEATED_RUN_NOTES = 8
OPENING_TICKS = 4 * BAR_BEATS * TICKS_PER_BEAT
FINAL_CHORDS = ({0, 4, 7}, {0, 3, 7}, {0, 4}, {0, 3}, {0, 7}, {0})
"""Pitch classes over the tonic in which a piece may end."""
CADENCE_BASSES = (2, 5, 7, 11)
"""Semitones of the bass over the tonic before the final chord: from supertonic, subdominant,
dominant or leading note."""


class Defects(NamedTuple):
    """What was found in one piece; lengths are in beats.

    Attributes:
        beats: length of the piece.
        frozen_beats: longest time with the same pitches; striking them again changes nothing.
        silent_beats: longest silence within the piece.
        held_beats: longest note.
        loop_beats: longest stretch that equals the music a fixed distance of at most two bars
            before.
        repeated: share of the notes that complete a run of eight which the piece had before.
        ends_on_tonic: the last chord is on the tonic, with its root in the bass.
        ends_with_cadence: and the bass reaches it by a step or leap of a cadence.
    """

    beats: float
    frozen_beats: float
    silent_beats: float
    held_beats: float
    loop_beats: float
    repeated: float
    ends_on_tonic: bool
    ends_with_cadence: bool


def find_defects(piece: FinishedPiece) -> Defects:
    """Measure everything in :class:`Defects` on one piece."""
    frozen_ticks, silent_ticks = [0], [0]
    for pitches, group in groupby(piece.chords(), lambda chord: {*chord[2]}):
        chords = list(group)
        (frozen_ticks if pitches else silent_ticks).append(chords[-1][1] - chords[0][0])
    ends_on_tonic, ends_with_cadence = _ending(piece)
    return Defects(
        beats=piece.ticks / TICKS_PER_BEAT,
        frozen_beats=max(frozen_ticks) / TICKS_PER_BEAT,
        silent_beats=max(silent_ticks) / TICKS_PER_BEAT,
        held_beats=max((note.length for note in piece.notes), default=0) / TICKS_PER_BEAT,
        loop_beats=_longest_loop_ticks(piece) / TICKS_PER_BEAT,
        repeated=_repeated_share(piece),
        ends_on_tonic=ends_on_tonic,
        ends_with_cadence=ends_with_cadence,
    )


def _longest_loop_ticks(piece: FinishedPiece) -> int:
    groups = piece.onset_groups()
    ends = [tick for tick, _ in groups[1:]] + [piece.ticks]
    recent: deque[tuple[int, object]] = deque(maxlen=MAX_LOOP_GROUPS)
    loop_ticks, longest = [0] * (MAX_LOOP_GROUPS + 1), 0  # by distance, in onset groups
    for (tick, notes), end in zip(groups, ends, strict=True):
        content = (end - tick, tuple(note.pitch for note in notes))
        for distance, (earlier_tick, earlier) in enumerate(reversed(recent), 1):
            same = earlier == content and tick - earlier_tick <= MAX_LOOP_DISTANCE_TICKS
            loop_ticks[distance] = loop_ticks[distance] + end - tick if same else 0
        recent.append((tick, content))
        longest = max(longest, *loop_ticks)
    return longest


def _repeated_share(piece: FinishedPiece) -> float:
    """By pitches and times between onsets; durations are not compared."""
    symbols = [(b.pitch, b.start - a.start) for a, b in pairwise(piece.notes)]
    known: set[tuple[tuple[int, int], ...]] = set()
    repeated = 0
    for end in range(REPEATED_RUN_NOTES, len(symbols) + 1):
        run = tuple(symbols[end - REPEATED_RUN_NOTES : end])
        repeated += run in known
        known.add(run)
    return repeated / max(1, len(piece.notes))


def _ending(piece: FinishedPiece) -> tuple[bool, bool]:
    """Whether the piece ends on the tonic, and whether with a cadence."""
    if not piece.notes:
        return False, False
    last_onset = piece.notes[-1].start
    chord = [note.pitch for note in piece.notes if note.end > last_onset]
    bass, tonic = min(chord), piece.key.tonic
    on_tonic = (bass - tonic) % 12 == 0 and {(p - tonic) % 12 for p in chord} in FINAL_CHORDS
    basses = [pitches[0] for _, end, pitches in piece.chords() if pitches and end <= last_onset]
    approach = next((pitch for pitch in reversed(basses) if pitch != bass), bass)
    return on_tonic, on_tonic and (approach - tonic) % 12 in CADENCE_BASSES


@dataclass
class DefectReport:
    """The defects of all pieces of one composer, and what was found between them.

    Attributes:
        beats, notes: how much music.
        max_silent_beats: the longest silence, between pieces too.
        unmatched_events: note-offs of notes that did not sound, and note-ons in voices that did.
        pieces: the defects of each piece.
        given_up: pieces that the stall detector ended.
        overlong: pieces that ended a bar or more after their form.
        openings: how often each opening of four bars, relative to its tonic, was composed.
    """

    beats: float = 0.0
    notes: int = 0
    max_silent_beats: float = 0.0
    unmatched_events: int = 0
    pieces: list[Defects] = field(default_factory=list)
    given_up: int = 0
    overlong: int = 0
    openings: Counter[int] = field(default_factory=Counter)

    def worst(self, attribute: str) -> float:
        """The largest value of an attribute of :class:`Defects` in any piece."""
        return max((getattr(piece, attribute) for piece in self.pieces), default=0.0)

    def mean(self, attribute: str) -> float:
        """The mean of an attribute of :class:`Defects` over all pieces."""
        return sum(getattr(piece, attribute) for piece in self.pieces) / max(1, len(self.pieces))

    @property
    def repeated_openings(self) -> int:
        """The pieces that start with the same four bars as a piece before them."""
        return sum(count - 1 for count in self.openings.values())


class DefectCounter:
    """Builds a :class:`DefectReport` from finished pieces, in the order of their composition."""

    def __init__(self) -> None:
        self.report = DefectReport()
        self._sounding: dict[int, int] = {}
        self._silent_since_tick = 0

    def add(self, piece: FinishedPiece, steps: Sequence[ComposerStep]) -> None:
        """Count a piece and the calls of the composer that wrote it."""
        report = self.report
        for event in sorted((e for step in steps for e in step.events), key=lambda e: e.tick):
            self._add_event(event)
        report.beats = steps[-1].end_tick / TICKS_PER_BEAT
        report.notes += len(piece.notes)
        report.pieces.append(find_defects(piece))
        report.given_up += piece.given_up
        report.overlong += piece.overlong
        report.openings[hash(_opening(piece))] += 1

    def _add_event(self, event: Event) -> None:
        if isinstance(event, NoteOff):
            if self._sounding.pop(event.voice, None) != event.pitch:
                self.report.unmatched_events += 1
            self._silent_since_tick = event.tick
        elif isinstance(event, NoteOn):
            if event.voice in self._sounding:
                self.report.unmatched_events += 1
            if not self._sounding:
                silent_beats = (event.tick - self._silent_since_tick) / TICKS_PER_BEAT
                self.report.max_silent_beats = max(self.report.max_silent_beats, silent_beats)
            self._sounding[event.voice] = event.pitch


def _opening(piece: FinishedPiece) -> tuple[Note, ...]:
    """The notes of the first four bars, relative to the tonic."""
    tonic = piece.key.tonic
    notes = [note for note in piece.notes if note.start < OPENING_TICKS]
    return tuple(note._replace(pitch=note.pitch - tonic, voice=0) for note in notes)
