"""The music that corpora contain and codecs encode: four voices on a grid, or notes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from appliance.music.notes import Note
from appliance.music.returns import Entry, Return
from appliance.music.traits import Traits

VOICES = 4
VOICE_ORDER = (0, 3, 2, 1)
"""The voices of a step in the order in which they are composed: the outer ones first."""
"""Soprano, alto, tenor, bass, numbered 0 to 3 everywhere."""

LOWEST_PITCH, HIGHEST_PITCH = 36, 81
"""The MIDI notes that four-part music uses."""

SILENT = -1
"""Stands for a MIDI note where a voice rests."""


TONICS = (
    "C", "D-flat", "D", "E-flat", "E", "F", "F-sharp", "G", "A-flat", "A", "B-flat", "B",
)  # fmt: skip
"""What the tonics of major keys are called, by their pitch classes."""

_MINOR_TONICS = {1: "C-sharp", 8: "G-sharp"}
"""The tonics of minor keys that are called otherwise."""


class Key(NamedTuple):
    """A tonic (pitch class, 0 = C) and a mode."""

    tonic: int
    minor: bool

    def transposed(self, semitones: int) -> Key:
        """The same mode on another tonic."""
        return Key((self.tonic + semitones) % 12, self.minor)

    @property
    def fifths(self) -> int:
        """The sharps of its signature, flats below 0; -6 to 6, as the key is called."""
        sharps = (self.tonic + (3 if self.minor else 0)) * 7 % 12
        # Six sharps in F-sharp major, six flats in e-flat minor.
        return sharps - 12 if sharps > 6 or (sharps == 6 and self.minor) else sharps

    @property
    def accidentals(self) -> int:
        """How many sharps or flats its signature has, 0 to 6."""
        return abs(self.fifths)

    def __str__(self) -> str:
        name = TONICS[self.tonic]
        if self.minor:
            name = _MINOR_TONICS.get(self.tonic, name).lower()
        return f"{name} {'minor' if self.minor else 'major'}"


class Tessitura(NamedTuple):
    """What a piece asks of its instrument: a cello's range and chords are not a harpsichord's."""

    lowest: int
    highest: int
    """MIDI notes."""
    chord_share: float
    """Share of the notes that are struck together with a higher one, 0 to 1."""


@dataclass(frozen=True)
class PieceFacts:
    """What a form knows of the corpus piece that it comes from, besides its frame."""

    kind: str = ""
    """One of :data:`appliance.music.kinds.KINDS`, such as "sarabande"; "" where nobody knows. A
    kind that this version does not know counts as ""."""
    tonic: int | None = None
    """Pitch class of the piece's tonic, 0 = C; ``None`` where nobody knows."""
    minor: bool | None = None
    """Its mode."""
    double_bar_step: int | None = None
    """The step at which the second half begins, of a piece whose halves are played twice each but
    whose repeats are not written out; ``None``: it has no such halves."""
    program: int | None = None
    """General MIDI program of the instrument that it was written for, where that is not the
    model's own."""
    onsets_per_quarter: float | None = None
    """How many times in a quarter note something is struck, on average."""
    traits: Traits | None = None
    """What it is like as a whole, of a piece in free rhythm."""
    returns: tuple[Return, ...] = ()
    """Which of its bars are as earlier ones, in order; no bar is in two of them."""
    entries: tuple[Entry, ...] = ()
    """Where the melody of its opening is heard again, in order."""

    @property
    def key(self) -> Key | None:
        """The piece's key, if both tonic and mode are known."""
        if self.tonic is None or self.minor is None:
            return None
        return Key(self.tonic, self.minor)


NO_FACTS = PieceFacts()


class Form(NamedTuple):
    """The frame that a piece fills: meter, length, and where its phrases rest.

    A form contains no notes. The forms in a model file are facts about pieces of its corpus; the
    composer draws one for every new piece. Steps are 16th notes.
    """

    bar_steps: int
    """16 in common time, 12 in triple time."""
    pickup_steps: int
    """Steps before the first full bar."""
    steps: int
    """Length of the piece."""
    fermatas: tuple[tuple[int, int], ...] = ()
    """Half-open spans of steps, in order, in which a phrase rests on its last chord."""
    beat_steps: int = 4
    """6 in compound time, 2 where an eighth is the beat."""
    tessitura: Tessitura | None = None
    """Of the piece that has this form; ``None``: the codec's whole range."""
    facts: PieceFacts = NO_FACTS
    """Of the same piece; models that were made without them have none."""


@dataclass(frozen=True)
class Score:
    """Pitches and onsets of four voices, one row per 16th step.

    ``pitches[step][voice]`` is a MIDI note or ``SILENT``; ``onsets[step][voice]`` is true where a
    note is struck and false where it is held. Where the source does not tell these apart (the JSB
    benchmark), every change of pitch is an onset and nothing else is.
    """

    name: str
    pitches: tuple[tuple[int, ...], ...]
    onsets: tuple[tuple[bool, ...], ...]
    key: Key
    form: Form
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What of a user's file was left out or interpreted."""

    @property
    def steps(self) -> int:
        """Length in 16th steps."""
        return len(self.pitches)

    def transposed(self, semitones: int) -> Score:
        """The same music in another key."""
        rows = tuple(
            tuple(p if p == SILENT else p + semitones for p in row) for row in self.pitches
        )
        return replace(self, pitches=rows, key=self.key.transposed(semitones))

    def pitch_range(self) -> tuple[int, int]:
        """Lowest and highest MIDI note.

        Raises:
            ValueError: the score has no notes.
        """
        sounding = [p for row in self.pitches for p in row if p != SILENT]
        return min(sounding), max(sounding)


def onsets_by_change(pitches: list[list[int]]) -> tuple[tuple[bool, ...], ...]:
    """Onsets for a source that does not record them: where the pitch changes.

    Args:
        pitches: rows of four MIDI notes or ``SILENT``, as in :class:`Score`.
    """
    before = [SILENT] * VOICES
    found = []
    for row in pitches:
        found.append(tuple(p not in (SILENT, b) for p, b in zip(row, before, strict=True)))
        before = row
    return tuple(found)


def key_of(pitches: list[list[int]]) -> Key:
    """The key of a whole four-part piece: its last bass note, in the mode of the thirds over it.

    Every chorale but a few modal ones closes on its tonic. The last two beats do not vote for the
    mode, because a minor piece often ends with a major third (the Picardy third).

    Args:
        pitches: rows of four MIDI notes or ``SILENT``, as in :class:`Score`.

    Raises:
        StopIteration: there are no notes.
    """
    last = next(row for row in reversed(pitches) if any(p != SILENT for p in row))
    tonic = next(p for p in reversed(last) if p != SILENT) % 12
    thirds = [0, 0]
    for row in pitches[: max(1, len(pitches) - 8)]:
        for p in row:
            if p != SILENT and (p - tonic) % 12 in (3, 4):
                thirds[4 - (p - tonic) % 12] += 1
    return Key(tonic, minor=thirds[1] > thirds[0])


@dataclass(frozen=True)
class FreeRhythmScore:
    """Notes in order of their start, and from the highest down where they start together."""

    name: str
    notes: tuple[Note, ...]
    key: Key
    form: Form
    notices: tuple[str, ...] = field(default=(), compare=False)
    """What of a user's file was left out or interpreted."""

    def transposed(self, semitones: int) -> FreeRhythmScore:
        """The same music in another key."""
        notes = tuple(note._replace(pitch=note.pitch + semitones) for note in self.notes)
        return replace(self, notes=notes, key=self.key.transposed(semitones))

    def pitch_range(self) -> tuple[int, int]:
        """Lowest and highest MIDI note.

        Raises:
            ValueError: the score has no notes.
        """
        pitches = [note.pitch for note in self.notes]
        return min(pitches), max(pitches)

    @property
    def tessitura(self) -> Tessitura:
        """Range, and the share of notes that are struck together.

        Raises:
            ValueError: the score has no notes.
        """
        onsets = len({note.start for note in self.notes})
        return Tessitura(*self.pitch_range(), round(1 - onsets / len(self.notes), 3))
