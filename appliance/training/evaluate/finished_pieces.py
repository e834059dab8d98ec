"""Finished pieces as an ear has them: notes in time, whatever codec they were told in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

from appliance.composing.composer import Composer
from appliance.music.codecs.base import Codec
from appliance.music.events import TICKS_PER_STEP, Event, Kind, Piece
from appliance.music.score import Form, Key


class Note(NamedTuple):
    """A note in ticks since the piece began."""

    start: int
    length: int
    pitch: int
    voice: int

    @property
    def end(self) -> int:
        """The tick at which it is left."""
        return self.start + self.length


@dataclass(frozen=True)
class Heard:
    """A piece.

    Attributes:
        notes: in order of their start, and from the highest down where they start together.
        key: that it was written in, as the score or the composer's plan says.
        form: that it was to fill.
        ticks: its length.
        given_up: the guard ended it.
    """

    notes: tuple[Note, ...]
    key: Key
    form: Form
    ticks: int
    given_up: bool = False

    @property
    def late(self) -> bool:
        """It was a bar or more beyond its form when it ended."""
        return self.ticks >= (self.form.steps + self.form.bar_steps) * TICKS_PER_STEP

    def voice(self, number: int) -> list[Note]:
        """The notes of one voice."""
        return [note for note in self.notes if note.voice == number]

    def groups(self) -> list[tuple[int, list[Note]]]:
        """The notes struck together, with their tick, in order."""
        return [(at, list(notes)) for at, notes in groupby(self.notes, lambda note: note.start)]

    def top(self) -> list[Note]:
        """The highest note of each group: the melody, as far as one can say."""
        return [notes[0] for _, notes in self.groups()]

    def chords(self) -> list[tuple[int, int, list[int]]]:
        """What sounds between two changes: start, end, and pitches from the lowest up.

        Silence is an empty list of pitches.
        """
        changes = sorted({tick for note in self.notes for tick in (note.start, note.end)})
        found = [(a, b, list[int]()) for a, b in pairwise(changes)]
        for note in self.notes:
            at = bisect_right(changes, note.start) - 1
            while at < len(found) and found[at][0] < note.end:
                found[at][2].append(note.pitch)
                at += 1
        return [(a, b, sorted(pitches)) for a, b, pitches in found]


def notes_of(events: Iterable[Event], began: int = 0) -> tuple[Note, ...]:
    """The notes in the events of one piece that began at tick ``began``."""
    sounding: dict[int, Event] = {}
    found: list[Note] = []
    for event in events:
        if event.kind not in (Kind.NOTE_ON, Kind.NOTE_OFF):
            continue
        # A voice that goes straight on to another note has left the one before.
        left = sounding.pop(event.voice, None)
        if left is not None and event.tick > left.tick:
            length = event.tick - left.tick
            found.append(Note(left.tick - began, length, left.pitch, left.voice))
        if event.kind == Kind.NOTE_ON:
            sounding[event.voice] = event
    return tuple(sorted(found, key=lambda note: (note.start, -note.pitch)))


def told(codec: Codec, tokens: Iterable[int], form: Form, key: Key) -> Heard:
    """The piece that these tokens are."""
    context = codec.start(form, key)
    events = [event for token in tokens for event in context.accept(token)]
    events += context.close()
    return Heard(notes_of(events), key, form, context.tick)


class Step(NamedTuple):
    """One call of a composer: its events, from ``tick`` to ``until``."""

    tick: int
    events: list[Event]
    until: int


def composed(composer: Composer) -> Iterator[tuple[Heard, list[Step]]]:
    """What a composer composes, piece by piece, and the calls that it took."""
    steps: list[Step] = []
    form, about = Form(1, 0, 0), composer.piece
    while True:
        given_up, tick = composer.guard.give_up, composer.tick
        step = Step(tick, composer.step(), composer.tick)
        if step.events and step.events[0].kind == Kind.PIECE:
            if steps:
                yield _finished(steps, about, form, given_up), steps
            steps, about = [], composer.piece
            now = composer.snapshot()
            assert now is not None
            form = now.context.form
        steps.append(step)


def _finished(steps: list[Step], about: Piece, form: Form, given_up: bool) -> Heard:
    events = [event for step in steps for event in step.events]
    # The last call leaves the last chord and breathes.
    ticks = steps[-1].tick - about.start_tick
    notes = notes_of(events, about.start_tick)
    return Heard(notes, Key(about.tonic, about.minor), form, ticks, given_up)
