"""Finished pieces as notes in time, whatever codec they come from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import NamedTuple

from appliance.composing.composer import Composer
from appliance.composing.repeats import Rendition, Step
from appliance.music.codecs.base import Codec
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, NoteOn, Piece, PieceStart
from appliance.music.notes import Note
from appliance.music.score import Form, Key


@dataclass(frozen=True)
class FinishedPiece:
    """A piece from its first to its last note.

    Attributes:
        notes: by their start, and from the highest down where they start together; in ticks
            since the start of the piece.
        key: as the score or the composer's plan states it.
        form: the form that the piece was composed for.
        ticks: length of the piece.
        given_up: the stall detector ended the piece.
    """

    notes: tuple[Note, ...]
    key: Key
    form: Form
    ticks: int
    given_up: bool = False

    @property
    def overlong(self) -> bool:
        """Whether the piece ended a bar or more after its form."""
        return self.ticks >= (self.form.steps + self.form.bar_steps) * TICKS_PER_STEP

    def transposed(self, semitones: int) -> FinishedPiece:
        """The same piece in another key."""
        notes = tuple(note._replace(pitch=note.pitch + semitones) for note in self.notes)
        return replace(self, notes=notes, key=self.key.transposed(semitones))

    def voice(self, number: int) -> list[Note]:
        """The notes of one voice, 0 being the highest."""
        return [note for note in self.notes if note.voice == number]

    def onset_groups(self) -> list[tuple[int, list[Note]]]:
        """The notes that start together, each group with its tick, in order."""
        return [(tick, list(notes)) for tick, notes in groupby(self.notes, lambda n: n.start)]

    def top_line(self) -> list[Note]:
        """The highest note of each onset group, which stands for the melody."""
        return [notes[0] for _, notes in self.onset_groups()]

    def chords(self) -> list[tuple[int, int, list[int]]]:
        """What sounds between two changes: start and end in ticks, pitches from the lowest up.

        The list of pitches is empty where nothing sounds.
        """
        changes = sorted({tick for note in self.notes for tick in (note.start, note.end)})
        chords = [(start, end, list[int]()) for start, end in pairwise(changes)]
        for note in self.notes:
            index = bisect_right(changes, note.start) - 1
            while index < len(chords) and chords[index][0] < note.end:
                chords[index][2].append(note.pitch)
                index += 1
        return [(start, end, sorted(pitches)) for start, end, pitches in chords]


def notes_of(events: Iterable[Event], start_tick: int = 0) -> tuple[Note, ...]:
    """The notes of a piece that started at ``start_tick``, in the order of ``FinishedPiece``.

    A voice has one note at a time: its next note ends the one before.
    """
    sounding: dict[int, NoteOn] = {}
    notes: list[Note] = []
    for event in events:
        if not isinstance(event, NoteOn | NoteOff):
            continue
        on = sounding.pop(event.voice, None)
        if on is not None and event.tick > on.tick:
            notes.append(Note(on.tick - start_tick, event.tick - on.tick, on.pitch, on.voice))
        if isinstance(event, NoteOn):
            sounding[event.voice] = event
    return tuple(sorted(notes, key=lambda note: (note.start, -note.pitch)))


def decode_piece(
    codec: Codec, tokens: Iterable[int], form: Form, key: Key, *, repeats: bool = True
) -> FinishedPiece:
    """The piece that the tokens encode; without ``repeats``, what they write twice comes once."""
    context = codec.start(form, key)
    rendition = Rendition(context.form, 0, codec.voices)
    events: list[Event] = []
    for token in tokens:
        start, left_out = context.tick, context.in_repeat and not repeats
        new = context.accept(token)
        step = Step(start, context.tick, tuple(new))
        if left_out:
            rendition.leave_out(step)
        else:
            events += rendition.play(step, last_time=True)
    end = rendition.tick_of(context.tick)
    return FinishedPiece(notes_of(events + rendition.release(end)), key, form, end)


class ComposerStep(NamedTuple):
    """One call of a composer: its events, and the ticks before and after it."""

    tick: int
    events: list[Event]
    end_tick: int


def compose_pieces(composer: Composer) -> Iterator[tuple[FinishedPiece, list[ComposerStep]]]:
    """Endless pieces, each with the calls of the composer that it took.

    Raises:
        BachboxError: the delegate failed, and the runtime refuses the model on the CPU.
    """
    steps: list[ComposerStep] = []
    form, piece = Form(1, 0, 0), composer.piece
    while True:
        given_up, tick = composer.stall_detector.give_up, composer.tick
        step = ComposerStep(tick, composer.step(), composer.tick)
        if step.events and isinstance(step.events[0], PieceStart):
            if steps:
                yield _finish(steps, piece, form, given_up), steps
            steps, piece = [], composer.piece
            snapshot = composer.snapshot()
            assert snapshot is not None
            form = snapshot.context.form
        steps.append(step)


def _finish(steps: list[ComposerStep], piece: Piece, form: Form, given_up: bool) -> FinishedPiece:
    events = [event for step in steps for event in step.events]
    # The last call ends the last chord and waits for the pause between two pieces.
    ticks = steps[-1].tick - piece.start_tick
    notes = notes_of(events, piece.start_tick)
    return FinishedPiece(notes, Key(piece.tonic, piece.minor), form, ticks, given_up)
