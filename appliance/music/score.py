"""What corpora give and codecs encode: four voices on the 16th grid, or notes in free rhythm."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

VOICES = 4
"""Soprano, alto, tenor, bass, numbered 0 to 3 everywhere."""

LOWEST, HIGHEST = 36, 81
"""The MIDI notes that four voices sing."""

SILENT = -1


class Key(NamedTuple):
    """A tonic (pitch class, 0 = C) and a mode."""

    tonic: int
    minor: bool

    def up(self, semitones: int) -> Key:
        """The same mode on another tonic."""
        return Key((self.tonic + semitones) % 12, self.minor)

    def __str__(self) -> str:
        major = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
        minor = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "g#", "a", "bb", "b")
        names = minor if self.minor else major
        return f"{names[self.tonic]} {'minor' if self.minor else 'major'}"


class Tessitura(NamedTuple):
    """What a piece asks of its instrument: a cello is not a harpsichord."""

    lowest: int
    highest: int
    """MIDI notes."""
    together: float
    """Share of the notes that are struck together with a higher one."""


class Form(NamedTuple):
    """The frame that a piece fills: metre, length, and where its phrases rest.

    A form holds no note; those of the corpus are facts about it, and the composer draws
    one for every new piece.
    """

    bar_steps: int
    """16 in common time, 12 in triple time."""
    pickup_steps: int
    steps: int
    fermatas: tuple[tuple[int, int], ...] = ()
    """Half-open spans of steps, in order, in which a phrase rests on its last chord."""
    beat_steps: int = 4
    """6 in compound time, 2 where an eighth is the beat."""
    scope: Tessitura | None = None
    """Of the piece that has this form; ``None``: whatever the codec can tell."""


@dataclass(frozen=True)
class Score:
    """Pitches and onsets of four voices, one row a 16th step.

    ``pitches[t][v]`` is a MIDI note or ``SILENT``; ``onsets[t][v]`` tells a note struck
    from one held. Where the source does not say (the JSB benchmark), every change of
    pitch is an onset and nothing else is.
    """

    name: str
    pitches: tuple[tuple[int, ...], ...]
    onsets: tuple[tuple[bool, ...], ...]
    key: Key
    form: Form

    @property
    def steps(self) -> int:
        """Length in 16th steps."""
        return len(self.pitches)

    def transposed(self, semitones: int) -> Score:
        """The same music in another key."""
        rows = tuple(
            tuple(p if p == SILENT else p + semitones for p in row) for row in self.pitches
        )
        return replace(self, pitches=rows, key=self.key.up(semitones))

    def range(self) -> tuple[int, int]:
        """Lowest and highest MIDI note."""
        sounding = [p for row in self.pitches for p in row if p != SILENT]
        return min(sounding), max(sounding)


def onsets_by_change(pitches: list[list[int]]) -> tuple[tuple[bool, ...], ...]:
    """Onsets for a source that does not record them: where the pitch changes."""
    before = [SILENT] * VOICES
    found = []
    for row in pitches:
        found.append(tuple(p not in (SILENT, b) for p, b in zip(row, before, strict=True)))
        before = row
    return tuple(found)


def key_of(pitches: list[list[int]]) -> Key:
    """The key of a whole piece: its last bass note, in the mode of the thirds over it.

    Every chorale but a few modal ones closes on its tonic; the last chord itself does not
    vote, because a minor piece often ends with a major third (the Picardy third).
    """
    last = next(row for row in reversed(pitches) if any(p != SILENT for p in row))
    tonic = next(p for p in reversed(last) if p != SILENT) % 12
    thirds = [0, 0]
    for row in pitches[: max(1, len(pitches) - 8)]:
        for p in row:
            if p != SILENT and (p - tonic) % 12 in (3, 4):
                thirds[4 - (p - tonic) % 12] += 1
    return Key(tonic, minor=thirds[1] > thirds[0])


class Note(NamedTuple):
    """A note in ticks since the piece began."""

    start: int
    length: int
    pitch: int


@dataclass(frozen=True)
class FreeRhythmScore:
    """Notes in order of their start, and from the highest down where they start together."""

    name: str
    notes: tuple[Note, ...]
    key: Key
    form: Form

    def transposed(self, semitones: int) -> FreeRhythmScore:
        """The same music in another key."""
        notes = tuple(note._replace(pitch=note.pitch + semitones) for note in self.notes)
        return replace(self, notes=notes, key=self.key.up(semitones))

    def range(self) -> tuple[int, int]:
        """Lowest and highest MIDI note."""
        pitches = [note.pitch for note in self.notes]
        return min(pitches), max(pitches)

    @property
    def scope(self) -> Tessitura:
        """What it asks of its instrument."""
        onsets = len({note.start for note in self.notes})
        return Tessitura(*self.range(), round(1 - onsets / len(self.notes), 3))
