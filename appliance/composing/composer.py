"""The composer: an endless sequence of pieces, one 16th step at a time.

Pure: no thread, device, network or clock. The same model, seed and runtime give the same
music::

    for event in Composer(bundle, seed=1):
        ...
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from appliance.composing import sampler
from appliance.composing.interpreter import State, StepModel
from appliance.composing.model_file import Bundle
from appliance.composing.stall_detector import TROUBLES, StallDetector
from appliance.music import expression
from appliance.music.codecs.base import Cadence, Context, Opening
from appliance.music.events import (
    AS_WRITTEN_PERMILLE,
    TICKS_PER_STEP,
    Event,
    Kind,
    Piece,
    note_off,
    pace,
    piece,
    piece_of,
    tokens,
    tokens_of,
)
from appliance.music.score import Form, Key

MAX_PIECE_STEPS = 1024
"""Longer forms of the corpus are not drawn: the next piece is to come before one waits for it."""
PLAIN_FORM = Form(16, 0, 512)
"""For a model without forms; it ends its pieces itself."""
MAX_REHEARSAL_TOKENS = 1000
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


class SampledToken(NamedTuple):
    """A token that was drawn in a rehearsal: under which conditions, and the model after it."""

    temperature: float
    top_p: float
    must_sound: bool
    token: int
    state: State


class Snapshot(NamedTuple):
    """Everything that decides what is composed next."""

    tick: int
    piece: Piece
    context: Context
    written: int
    state: State
    dice: Mapping[str, Any]
    guard: StallDetector
    reading: expression.Performance


class Composer:
    """Composes endlessly.

    Args:
        bundle: the model.
        seed: any whole number; a random one when not given (see ``seed``).
        temperature, top_p: the model's own when not given; may be changed at any time.
        prime: music to start from: it opens the first piece, which goes on from there
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
        prime: Opening | None = None,
    ) -> None:
        self.bundle = bundle
        self.seed = secrets.randbits(31) if seed is None else seed & (2**63 - 1)
        self.temperature = bundle.temperature if temperature is None else temperature
        self.top_p = bundle.top_p if top_p is None else top_p
        sampler.check(self.temperature, self.top_p)
        self.model = StepModel(bundle)
        self.counts = Counts()
        self.guard = StallDetector()
        self.tick = 0
        """Up to here the music is complete."""
        self.piece = Piece(0, 0, False, 4, 0, 0)
        self._context: Context | None = None
        self._written = 0
        """Tokens of the piece so far."""
        self._dice = np.random.default_rng(0)
        self._reading = expression.Performance(PLAIN_FORM)
        self._rehearsed: list[SampledToken] = []
        """What is still to come of the rehearsal that is performed, the next one last."""
        self._prime = prime
        self._again: Piece | None = None
        self.rehearsals = REHEARSALS
        """How often the last phrase is tried before it is written; 0 for one in a hurry."""
        self.on_token: Callable[[], None] = lambda: None
        """Told of each token, tried ones too: a sign of life while an ending is rehearsed."""

    @property
    def cures(self) -> dict[str, int]:
        """How often the guard stepped in, by trouble."""
        return {trouble: self.guard.cures[trouble] for trouble in TROUBLES}

    def __iter__(self) -> Iterator[Event]:
        while True:
            yield from self.step()

    def step(self) -> list[Event]:
        """Compose up to the next onset, or begin the next piece; the events, in order of tick."""
        if self._context is None:
            return self._begin()
        if self._over(self._context):
            return self._end()
        return self._go_on(self._context)

    def _over(self, context: Context) -> bool:
        return context.done or context.faded or self.guard.give_up

    def _go_on(self, context: Context, known: Sequence[int] = ()) -> list[Event]:
        """Tokens until music is complete further than before; drawn, ``known``, or primed."""
        start, begun = self.tick, context.tick
        opening = self._prime if self.piece.number == 1 else None
        primed = opening is not None and self._written < len(opening.tokens)
        if context.at_ending:
            self._rehearse_ending(context)
        events = self._reading.pace(begun)
        heard: list[Event] = []
        said: list[int] = []
        while context.tick == begun and not context.done:
            told = opening.tokens[self._written :] if opening else ()
            token = self._token(context, known[len(said) :] or told)
            said.append(token)
            heard += self._reading.play(context.accept(token))
        self.counts.notes += sum(event.kind == Kind.NOTE_ON for event in heard)
        self.tick = self.piece.start_tick + context.tick
        self.guard.hear(start, self.tick, heard, judged=not primed)
        return tokens(start, said) + events + heard

    def _token(self, context: Context, told: Sequence[int]) -> int:
        """The next token; for one that is told, model and dice go on as if it had been drawn."""
        self.counts.tokens += 1
        self._written += 1
        if not told:
            return self._draw(context).token
        self._rehearsed.clear()
        self.on_token()
        self.model.step(context.features())
        self._dice.random()
        return told[0]

    def _draw(self, context: Context) -> SampledToken:
        self.on_token()
        temperature = self.guard.temperature(self.temperature, self.tick)
        must_sound = self.guard.trouble == "silence"
        uniform = float(self._dice.random())
        if self._rehearsed:
            known = self._rehearsed.pop()
            if known[:3] == (temperature, self.top_p, must_sound):
                # The same dice under the same conditions: it needs no second calculation.
                self.model.state = known.state
                return known
            self._rehearsed.clear()
        token = sampler.sample(
            self.model.step(context.features()),
            temperature=temperature,
            top_p=self.top_p,
            uniform=uniform,
            forbidden=context.forbidden(must_sound=must_sound),
        )
        return SampledToken(temperature, self.top_p, must_sound, token, self.model.state)

    def _rehearse_ending(self, context: Context) -> None:
        """Try out the last phrase, and keep the dice with which the piece closes best.

        The model ends most pieces with a cadence in their key; where it would have strayed,
        another throw of the dice seldom does. Nothing is written that it would not write.
        """
        state, best = self.model.state, (Cadence.OPEN, 0)
        performed: list[SampledToken] = []
        self._rehearsed.clear()
        for attempt in range(self.rehearsals):
            self._dice = self._dice_of(self.piece.number, attempt + 1)
            tried, drawn = context.copy(), list[SampledToken]()
            for _ in range(MAX_REHEARSAL_TOKENS):
                if tried.done or tried.faded:
                    break
                drawn.append(self._draw(tried))
                tried.accept(drawn[-1].token)
            self.model.state = state
            if not attempt or (tried.cadence(), -attempt) > best:
                best, performed = (tried.cadence(), -attempt), drawn
            if best[0] == Cadence.FULL:
                break
        self._dice = self._dice_of(self.piece.number, 1 - best[1])
        self._rehearsed = performed[::-1]

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
                beats_per_bar=form.bar_steps // form.beat_steps,
                pickup_ticks=form.pickup_steps * TICKS_PER_STEP,
                start_tick=self.tick,
                beat_ticks=form.beat_steps * TICKS_PER_STEP,
            ),
            form,
        )
        self.counts.pieces += 1
        return [piece(self.piece), pace(self.tick, AS_WRITTEN_PERMILLE)]

    def _open(self, about: Piece, form: Form) -> Context:
        """An empty piece, the model with nothing in its memory."""
        self._rehearsed.clear()
        self.piece = about
        self._context = self.bundle.codec.start(form, Key(about.tonic, about.minor))
        form = self._context.form
        self._reading = expression.Performance(form, about.start_tick, self.bundle.codec.voices)
        self._written = 0
        self.model.reset()
        self.guard.new_piece(about.start_tick)
        return self._context

    def _plan(self, number: int) -> tuple[Form, Key]:
        """Form and key of a piece, from the seed and its number alone; seeds the dice too."""
        self._dice = self._dice_of(number)
        forms = [f for f in self.bundle.forms if f.steps <= MAX_PIECE_STEPS] or [PLAIN_FORM]
        form = forms[int(self._dice.integers(len(forms)))]
        if number == 1 and self._prime is not None:
            return _continued(self._prime.form, form), self._prime.key
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
        events = [
            event._replace(tick=self.piece.start_tick + event.tick)
            for event in self._context.close()
        ]
        self.tick += breath_ticks
        self._context = None
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
        return self.next_piece()

    def snapshot(self) -> Snapshot | None:
        """What is needed to compose from here again; ``None`` between two pieces."""
        if self._context is None:
            return None
        return Snapshot(
            tick=self.tick,
            piece=self.piece,
            context=self._context.copy(),
            written=self._written,
            state=self.model.state,
            dice=self._dice.bit_generator.state,
            guard=self.guard.copy(),
            reading=self._reading.copy(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this composer; temperature and top-p stay as they are now."""
        self._rehearsed.clear()
        self.tick = snapshot.tick
        self.piece = snapshot.piece
        self._context, self._written = snapshot.context.copy(), snapshot.written
        self.model.state = snapshot.state
        self._dice.bit_generator.state = snapshot.dice
        self.guard = snapshot.guard.copy()
        self._reading = snapshot.reading.copy()

    def resume(self, events: list[Event], horizon_tick: int) -> list[Event]:
        """Take over from a composer that died: go on after its last piece's ``events``.

        With the same seed and an unchanged temperature the music goes on as if nothing had
        happened, because the form is drawn again from the seed and every token uses up
        exactly one random number.

        Args:
            events: everything since (and with) the last event of kind ``PIECE``.
            horizon_tick: up to where the music was complete.

        Returns:
            What leaves the notes of a piece that cannot be gone on with.
        """
        if not events or events[0].kind != Kind.PIECE:
            # A piece longer than the ring's memory: leave it and begin another.
            self.tick = horizon_tick
            return leaving(events, horizon_tick)
        said = [token for e in events if e.kind == Kind.TOKENS for token in tokens_of(e)]
        self.piece, self.tick, self._context = piece_of(events[0]), horizon_tick, None
        form, _ = self._plan(self.piece.number)
        if form.bar_steps != self.piece.beats_per_bar * form.beat_steps:
            form = PLAIN_FORM
        context = self._open(self.piece, form)
        self.tick = self.piece.start_tick
        if max(said, default=0) >= len(self.bundle.vocabulary):
            said = []
        while self._written < len(said) and not self._over(context):
            self._go_on(context, said[self._written :])
        # All this has been counted by the one that died.
        self.counts = Counts()
        self.guard.cures.clear()
        if self.tick == horizon_tick:
            return []
        # The piece had ended and the breath was taken, or it was composed by another model.
        self._context, self.tick = None, horizon_tick
        return leaving(events, horizon_tick)


def leaving(events: list[Event], tick: int) -> list[Event]:
    """Events at ``tick`` that leave whatever ``events`` let sound."""
    sounding: dict[int, Event] = {}
    for event in events:
        if event.kind == Kind.NOTE_ON:
            sounding[event.voice] = event
        elif event.kind == Kind.NOTE_OFF:
            sounding.pop(event.voice, None)
    return [note_off(tick, e.voice, e.pitch) for e in sounding.values()]


def _continued(prime: Form, form: Form) -> Form:
    """The user's opening, then as much again as a whole piece, in the user's metre.

    ``form`` begins at the first place after the opening that is its own place in the bar.
    """
    bar, pickup = prime.bar_steps, prime.pickup_steps
    if form.bar_steps != bar:
        form = Form(bar, 0, 8 * bar, ((7 * bar, 8 * bar),), prime.beat_steps)
    start = prime.steps + (pickup - form.pickup_steps - prime.steps) % bar
    moved = tuple((a + start, b + start) for a, b in form.fermatas)
    return Form(bar, pickup, start + form.steps, prime.fermatas + moved, prime.beat_steps)
