"""The composer: an endless sequence of pieces, one 16th step at a time.

Pure: no thread, device, network or clock. The same model, seed and runtime give the same
music::

    for event in Composer(bundle, seed=1):
        ...
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from appliance.music import expression, sampler
from appliance.music.bundle import Bundle
from appliance.music.codec import LOWEST, ORDER, PITCHES, Cadence, SatbContext
from appliance.music.guard import TROUBLES, Guard
from appliance.music.interpreter import State, StepModel
from appliance.music.notes import (
    AS_WRITTEN_PERMILLE,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    Event,
    Kind,
    Piece,
    pace,
    piece,
    piece_of,
)
from appliance.music.score import SILENT, VOICES, Form, Key, Score

LONGEST_PIECE_STEPS = 512
PLAIN_FORM = Form(16, 0, LONGEST_PIECE_STEPS)
"""For a model without forms; it ends its pieces itself."""
REHEARSALS = 8
"""How often the last phrase is tried for one that comes home."""
RELATED_KEYS = ((7, False), (5, False), (0, True), (0, True), (2, False), (0, False))
"""Where the next piece may lie: so many semitones up, and whether the mode changes to the
relative one: dominant, subdominant, relative (twice as likely), supertonic, the same."""


@dataclass
class Counts:
    """What has been done since the start."""

    tokens: int = 0
    notes: int = 0
    pieces: int = 0


class Snapshot(NamedTuple):
    """Everything that decides what is composed next."""

    tick: int
    piece: Piece
    context: SatbContext
    state: State
    dice: Mapping[str, Any]
    guard: Guard
    reading: expression.Reading


class Composer:
    """Composes endlessly.

    Args:
        bundle: the model.
        seed: any whole number; a random one when not given (see ``seed``).
        temperature, top_p: the model's own when not given; may be changed at any time.
        prime: a score to start from: it opens the first piece, which goes on from there
            (and does so again when that piece is started again).

    Raises:
        UsageError: temperature or top-p out of range.
        BachboxError: the runtime refuses the model.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        seed: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        prime: Score | None = None,
    ) -> None:
        self.bundle = bundle
        self.seed = secrets.randbits(31) if seed is None else seed & (2**63 - 1)
        self.temperature = bundle.temperature if temperature is None else temperature
        self.top_p = bundle.top_p if top_p is None else top_p
        sampler.check(self.temperature, self.top_p)
        self.model = StepModel(bundle)
        self.counts = Counts()
        self.guard = Guard()
        self.tick = 0
        """Up to here the music is complete."""
        self.piece = Piece(0, 0, False, 4, 0, 0)
        self._context: SatbContext | None = None
        self._dice = np.random.default_rng(0)
        self._reading = expression.Reading(VOICES)
        self._prime = prime
        self._again: Piece | None = None
        self.rehearsals = REHEARSALS
        """How often the last phrase is tried before it is written; 0 for one in a hurry."""
        self._range = _out_of_range(bundle)

    @property
    def cures(self) -> dict[str, int]:
        """How often the guard stepped in, by trouble."""
        return {trouble: self.guard.cures[trouble] for trouble in TROUBLES}

    def __iter__(self) -> Iterator[Event]:
        while True:
            yield from self.step()

    def step(self) -> list[Event]:
        """Compose one 16th step, or begin the next piece; the events, in order of tick."""
        if self._context is None:
            return self._begin()
        if self._over(self._context):
            return self._end()
        return self._sixteenth(self._context)

    def _over(self, context: SatbContext) -> bool:
        return context.done or context.faded or self.guard.give_up

    def _sixteenth(self, context: SatbContext, known: Score | None = None) -> list[Event]:
        """One 16th step: drawn from the model, or as it is known already, or as primed."""
        start, step = self.tick, context.step
        opening = self._prime if self.piece.number == 1 else None
        primed = opening is not None and step < opening.steps
        told = known or (opening if primed else None)
        if context.codec.form and step == context.ending_step:
            self._rehearse_ending(context)
        events = self._reading.pace(start, expression.place_of(context.form, step))
        heard: list[Event] = []
        while context.step == step and not context.done:
            heard += self._token(context, told)
        self.tick = self.piece.start_tick + context.tick
        self.guard.hear(start, heard, judged=not primed)
        return events + heard

    def _token(self, context: SatbContext, told: Score | None) -> list[Event]:
        """One token, its events in absolute ticks and as they are to be played."""
        place = expression.place_of(context.form, context.step)
        token = self._draw(context) if told is None else self._hear(context, told)
        self.counts.tokens += 1
        start = self.piece.start_tick
        events = [event._replace(tick=event.tick + start) for event in context.accept(token)]
        self.counts.notes += sum(event.kind is Kind.NOTE_ON for event in events)
        return self._reading.play(events, place)

    def _hear(self, context: SatbContext, told: Score) -> int:
        """A token that is known; the model and the dice go on as if it had been drawn."""
        self.model.step(context.features())
        self._dice.random()
        voice = ORDER[context.place]
        pitch, struck = told.pitches[context.step][voice], told.onsets[context.step][voice]
        return context.codec.token(pitch, struck, context.sounding[voice])

    def _draw(self, context: SatbContext) -> int:
        return sampler.sample(
            self.model.step(context.features()),
            temperature=self.guard.temperature(self.temperature, self.tick),
            top_p=self.top_p,
            uniform=float(self._dice.random()),
            forbidden=context.forbidden(must_sound=self.guard.trouble == "silence")
            + self._range[ORDER[context.place]],
        )

    def _rehearse_ending(self, context: SatbContext) -> None:
        """Try out the last phrase, and keep the dice with which the piece closes best.

        The model ends most pieces with a cadence in their key; where it would have strayed,
        another throw of the dice seldom does. Nothing is written that it would not write.
        """
        state, best = self.model.state, (Cadence.OPEN, 0)
        for attempt in range(self.rehearsals):
            self._dice = self._dice_of(self.piece.number, attempt + 1)
            tried, cadence = context.copy(), Cadence.OPEN
            while not (tried.done or tried.faded):
                tried.accept(self._draw(tried))
                if not (tried.place or tried.silent):
                    cadence = tried.cadence()
            self.model.state = state
            best = max(best, (cadence, -attempt))
            if best[0] == Cadence.FULL:
                break
        self._dice = self._dice_of(self.piece.number, 1 - best[1])

    def _dice_of(self, *what: int) -> np.random.Generator:
        """Dice that the seed decides for a purpose, given by whole numbers."""
        return np.random.default_rng([self.seed, *what])

    def _begin(self) -> list[Event]:
        """The next piece: its form and its key."""
        number = self._again.number if self._again else self.piece.number + 1
        form, key = self._plan(number)
        if self._again:
            key, self._again = Key(self._again.tonic, self._again.minor), None
        self._open(
            Piece(
                number=number,
                tonic=key.tonic,
                minor=key.minor,
                beats_per_bar=form.bar_steps * TICKS_PER_STEP // TICKS_PER_BEAT,
                pickup_ticks=form.pickup_steps * TICKS_PER_STEP,
                start_tick=self.tick,
            ),
            form,
        )
        self.counts.pieces += 1
        return [piece(self.piece), pace(self.tick, AS_WRITTEN_PERMILLE)]

    def _open(self, about: Piece, form: Form) -> SatbContext:
        """An empty piece, the model with nothing in its memory."""
        self.piece = about
        self._context = self.bundle.codec.start(form, Key(about.tonic, about.minor))
        self._reading = expression.Reading(VOICES)
        self.model.reset()
        self.guard.new_piece(about.start_tick)
        return self._context

    def _plan(self, number: int) -> tuple[Form, Key]:
        """Form and key of a piece, from the seed and its number alone; seeds the dice too."""
        self._dice = self._dice_of(number)
        forms = [f for f in self.bundle.forms if f.steps <= LONGEST_PIECE_STEPS] or [PLAIN_FORM]
        form = forms[int(self._dice.integers(len(forms)))]
        if number == 1 and self._prime is not None:
            return _continued(self._prime, form), self._prime.key
        if number == 1:
            return form, Key(int(self._dice.integers(12)), bool(self._dice.integers(2)))
        up, turn = RELATED_KEYS[int(self._dice.integers(len(RELATED_KEYS)))]
        key = Key(self.piece.tonic, self.piece.minor).up(up)
        if turn:
            key = Key((key.tonic + (3 if key.minor else 9)) % 12, not key.minor)
        return form, key

    def _end(self) -> list[Event]:
        """Leave the last chord, and breathe; rests that the piece ended with are part of that."""
        assert self._context is not None
        breath_ticks = max(0, expression.BREATH_TICKS - self.guard.silent_ticks(self.tick))
        events = [event._replace(tick=self.tick) for event in self._context.close()]
        self._context = None
        self.tick += breath_ticks
        return events

    def next_piece(self, *, again: bool = False) -> list[Event]:
        """Give up the piece at once, for the next or for the same ``again``; its last events."""
        events = self._end() if self._context is not None else []
        if again and self.piece.number:
            self._again = self.piece
        return events

    def change_model(self, bundle: Bundle) -> list[Event]:
        """Give up the piece and go on with another model; the events that leave the piece.

        Raises:
            BachboxError: the runtime refuses the model; all stays as it was.
        """
        model = StepModel(bundle)
        self.bundle, self.model = bundle, model
        self._range = _out_of_range(bundle)
        return self.next_piece()

    def snapshot(self) -> Snapshot | None:
        """What is needed to compose from here again; ``None`` between two pieces."""
        if self._context is None:
            return None
        return Snapshot(
            tick=self.tick,
            piece=self.piece,
            context=self._context.copy(),
            state=self.model.state,
            dice=self._dice.bit_generator.state,
            guard=self.guard.copy(),
            reading=self._reading.copy(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this composer; temperature and top-p stay as they are now."""
        self.tick = snapshot.tick
        self.piece = snapshot.piece
        self._context = snapshot.context.copy()
        self.model.state = snapshot.state
        self._dice.bit_generator.state = snapshot.dice
        self.guard = snapshot.guard.copy()
        self._reading = snapshot.reading.copy()

    def resume(self, events: list[Event], horizon_tick: int) -> None:
        """Take over from a composer that died: go on after its last piece's ``events``.

        With the same seed and an unchanged temperature the music goes on as if nothing had
        happened, because the form is drawn again from the seed and every token uses up
        exactly one random number.

        Args:
            events: everything since (and with) the last event of kind ``PIECE``.
            horizon_tick: up to where the music was complete.
        """
        pitches, onsets = rows(events, horizon_tick)
        self.piece, self.tick, self._context = piece_of(events[0]), horizon_tick, None
        breath = expression.BREATH_TICKS // TICKS_PER_STEP
        if len(pitches) >= breath and all(p == SILENT for row in pitches[-breath:] for p in row):
            return  # It had ended, and the breath was taken: the next one is due.
        form, _ = self._plan(self.piece.number)
        if form.bar_steps * TICKS_PER_STEP != self.piece.beats_per_bar * TICKS_PER_BEAT:
            form = PLAIN_FORM
        # Longer than its form it can be only where the model has changed.
        form = form._replace(steps=max(form.steps, len(pitches)))
        context = self._open(self.piece, form)
        self.tick = self.piece.start_tick
        known = Score("resumed", pitches, onsets, Key(self.piece.tonic, self.piece.minor), form)
        for _ in pitches:
            self._sixteenth(context, known)
        # All this has been counted by the one that died.
        self.counts = Counts()
        self.guard.cures.clear()


def _continued(prime: Score, form: Form) -> Form:
    """The user's opening, then as much again as a whole piece, in the user's metre.

    ``form`` begins at the first place after the opening that is its own place in the bar.
    """
    bar, pickup = prime.form.bar_steps, prime.form.pickup_steps
    if form.bar_steps != bar:
        form = Form(bar, 0, 8 * bar, ((7 * bar, 8 * bar),))
    start = prime.steps + (pickup - form.pickup_steps - prime.steps) % bar
    moved = tuple((a + start, b + start) for a, b in form.fermatas)
    return Form(bar, pickup, start + form.steps, prime.form.fermatas + moved)


def _out_of_range(bundle: Bundle) -> list[list[int]]:
    """For every voice, the classes of the notes that the corpus never gives it."""
    return [
        [c for c in range(PITCHES) if not low <= c + LOWEST <= high] for low, high in bundle.voices
    ]


def rows(
    events: list[Event], horizon_tick: int
) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[bool, ...], ...]]:
    """Pitches and onsets on the 16th grid, from a piece's events up to ``horizon_tick``."""
    start = events[0].tick
    sounding = [SILENT] * VOICES
    pitches, onsets = [], []
    waiting = [e for e in events if e.kind in (Kind.NOTE_ON, Kind.NOTE_OFF)]
    at = 0
    for tick in range(start, horizon_tick, TICKS_PER_STEP):
        struck = [False] * VOICES
        while at < len(waiting) and waiting[at].tick < tick + TICKS_PER_STEP:
            event = waiting[at]
            at += 1
            on = event.kind == Kind.NOTE_ON
            sounding[event.voice] = event.pitch if on else SILENT
            struck[event.voice] = on
        pitches.append(tuple(sounding))
        onsets.append(tuple(struck))
    return tuple(pitches), tuple(onsets)
