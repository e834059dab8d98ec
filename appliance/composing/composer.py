"""The composer: an endless sequence of pieces, one step of the music at a time.

It uses no thread, device, network or clock. The same model, seed and runtime give the same
music::

    for event in Composer(model_file.load(path), seed=1):
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
from appliance.composing.model_file import ModelFile
from appliance.composing.piece_plan import DEFAULT_FORM, choose_form_and_key
from appliance.composing.stall_detector import STALLS, StallDetector
from appliance.music import expression
from appliance.music.codecs.base import Cadence, Context, Opening
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
    Tokens,
    token_events,
)
from appliance.music.notes import still_sounding
from appliance.music.score import Form, Key

ENDING_SAMPLES = 8
"""How many endings are sampled in search of one that closes on the tonic."""
MAX_ENDING_TOKENS = 1000


@dataclass
class Counts:
    """What has been composed since the start."""

    tokens: int = 0
    notes: int = 0
    pieces: int = 0


class SampledToken(NamedTuple):
    """A token, the conditions under which it was sampled, and the model's state after it."""

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
    token_count: int
    model_state: State
    rng_state: Mapping[str, Any]
    stall_detector: StallDetector
    performance: expression.Performance


class Composer:
    """Composes endlessly.

    Args:
        model_file: the model.
        seed: any integer; a random one if not given (see ``seed``).
        temperature, top_p: the model's own if not given; may be changed at any time.
        prime: music that the first piece starts from. A restart of that piece starts from it too.

    Raises:
        UsageError: temperature or top-p is out of range.
        BachboxError: the runtime refuses the model.
    """

    def __init__(
        self,
        model_file: ModelFile,
        *,
        seed: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        prime: Opening | None = None,
    ) -> None:
        self.model_file = model_file
        self.seed = secrets.randbits(31) if seed is None else seed & (2**63 - 1)
        self.temperature = model_file.temperature if temperature is None else temperature
        self.top_p = model_file.top_p if top_p is None else top_p
        sampler.check(self.temperature, self.top_p)
        self.step_model = StepModel(model_file)
        self.counts = Counts()
        self.stall_detector = StallDetector()
        self.tick = 0
        """The tick up to which the music is complete."""
        self.piece = Piece(0, 0, False, 4, 0, 0)
        self._context: Context | None = None
        self._token_count = 0
        """Tokens of the piece so far."""
        self._rng = np.random.default_rng(0)
        self._performance = expression.Performance(DEFAULT_FORM)
        self._sampled_ending: list[SampledToken] = []
        """What is left of the chosen ending, the next token last."""
        self._prime = prime
        self._restarted: Piece | None = None
        self.ending_samples = ENDING_SAMPLES
        """How many endings of each piece to sample; 0 where there is no time."""
        self.on_token: Callable[[], None] = lambda: None
        """Called for each token, those of discarded endings too, as a sign of life."""

    @property
    def interventions(self) -> dict[str, int]:
        """How often the stall detector intervened, by each of ``STALLS``."""
        return {stall: self.stall_detector.interventions[stall] for stall in STALLS}

    def __iter__(self) -> Iterator[Event]:
        while True:
            yield from self.step()

    def step(self) -> list[Event]:
        """Compose up to the next onset, or begin or end a piece; the events in order of tick.

        Raises:
            BachboxError: the delegate failed, and the runtime refuses the model on the CPU.
        """
        if self._context is None:
            return self._begin_piece()
        if self._is_over(self._context):
            return self._end_piece()
        return self._compose_step(self._context)

    def _is_over(self, context: Context) -> bool:
        return context.done or context.only_rests_left or self.stall_detector.give_up

    def _compose_step(self, context: Context, replayed: Sequence[int] = ()) -> list[Event]:
        """Add tokens until the music is complete up to a later tick.

        The tokens are sampled, unless they are given by ``replayed`` or by the prime.
        """
        start, start_in_piece = self.tick, context.tick
        prime = self._prime if self.piece.number == 1 else None
        judged = prime is None or self._token_count >= len(prime.tokens)
        if context.at_last_phrase:
            self._choose_ending(context)
        tempo_changes = self._performance.tempo_changes(start_in_piece)
        performed: list[Event] = []
        tokens: list[int] = []
        while context.tick == start_in_piece and not context.done:
            primed = prime.tokens[self._token_count :] if prime else ()
            token = self._next_token(context, replayed[len(tokens) :] or primed)
            tokens.append(token)
            performed += self._performance.play(context.accept(token))
        self.counts.notes += sum(isinstance(event, NoteOn) for event in performed)
        self.tick = self.piece.start_tick + context.tick
        self.stall_detector.update(start, self.tick, performed, judged=judged)
        return token_events(start, tokens) + tempo_changes + performed

    def _next_token(self, context: Context, given: Sequence[int]) -> int:
        """The next token: the first of ``given``, or a sampled one if there is none.

        For a given token, model and random numbers advance as if it had been sampled.
        """
        self.counts.tokens += 1
        self._token_count += 1
        if not given:
            return self._sample(context).token
        self._sampled_ending.clear()
        self.on_token()
        self.step_model.step(context.features())
        self._rng.random()
        return given[0]

    def _sample(self, context: Context) -> SampledToken:
        self.on_token()
        temperature = self.stall_detector.boosted(self.temperature, self.tick)
        must_sound = self.stall_detector.stall == "silence"
        uniform = float(self._rng.random())
        if self._sampled_ending:
            sampled = self._sampled_ending.pop()
            if sampled[:3] == (temperature, self.top_p, must_sound):
                # The same random number under the same conditions: the model need not run again.
                self.step_model.state = sampled.state
                return sampled
            self._sampled_ending.clear()
        token = sampler.sample(
            self.step_model.step(context.features()),
            temperature=temperature,
            top_p=self.top_p,
            uniform=uniform,
            forbidden=context.forbidden(must_sound=must_sound),
        )
        return SampledToken(temperature, self.top_p, must_sound, token, self.step_model.state)

    def _choose_ending(self, context: Context) -> None:
        """Sample several last phrases (best of n), and keep the one that closes best.

        The model ends most pieces with a cadence in their key. Where one sample does not, another
        usually does. Every ending is one that the model could have composed anyway.
        """
        state = self.step_model.state
        best_cadence, best_sample = Cadence.OPEN, 0
        best_tokens: list[SampledToken] = []
        self._sampled_ending.clear()
        for sample in range(self.ending_samples):
            self._rng = self._rng_for(self.piece.number, sample + 1)
            tried, tokens = context.copy(), list[SampledToken]()
            while not (tried.done or tried.only_rests_left) and len(tokens) < MAX_ENDING_TOKENS:
                tokens.append(self._sample(tried))
                tried.accept(tokens[-1].token)
            self.step_model.state = state
            if not sample or tried.cadence() > best_cadence:
                best_cadence, best_sample, best_tokens = tried.cadence(), sample, tokens
            if best_cadence == Cadence.FULL:
                break
        self._rng = self._rng_for(self.piece.number, best_sample + 1)
        self._sampled_ending = best_tokens[::-1]

    def _rng_for(self, *purpose: int) -> np.random.Generator:
        """The random numbers that the seed gives for a purpose, which is named by integers."""
        return np.random.default_rng([self.seed, *purpose])

    def _begin_piece(self) -> list[Event]:
        restarted = self._restarted
        number = restarted.number if restarted else self.piece.number + 1
        form, key = self._choose_form_and_key(number)
        if restarted:
            key, self._restarted = Key(restarted.tonic, restarted.minor), None
        piece = Piece(
            number=number,
            tonic=key.tonic,
            minor=key.minor,
            beats_per_bar=form.bar_steps // form.beat_steps,
            pickup_ticks=form.pickup_steps * TICKS_PER_STEP,
            start_tick=self.tick,
            beat_ticks=form.beat_steps * TICKS_PER_STEP,
        )
        self._start_context(piece, form)
        self.counts.pieces += 1
        return [PieceStart.of(piece), TempoFactor(self.tick, FULL_TEMPO_PERMILLE)]

    def _start_context(self, piece: Piece, form: Form) -> Context:
        """Start an empty piece, with the model's memory cleared."""
        self._sampled_ending.clear()
        self.piece = piece
        codec = self.model_file.codec
        self._context = context = codec.start(form, Key(piece.tonic, piece.minor))
        self._performance = expression.Performance(context.form, piece.start_tick, codec.voices)
        self._token_count = 0
        self.step_model.reset()
        self.stall_detector.new_piece(piece.start_tick)
        return context

    def _choose_form_and_key(self, number: int) -> tuple[Form, Key]:
        """Choose form and key of a piece, and its random numbers, from the seed and its number."""
        self._rng = self._rng_for(number)
        first = number == 1
        return choose_form_and_key(
            self._rng,
            self.model_file.forms,
            None if first else Key(self.piece.tonic, self.piece.minor),
            self._prime if first else None,
        )

    def _end_piece(self) -> list[Event]:
        """Release the last chord and leave a pause; rests at the end of the piece count in it."""
        assert self._context is not None
        silent_ticks = self.stall_detector.silent_ticks(self.tick)
        pause_ticks = max(0, expression.BREATH_TICKS - silent_ticks)
        events = [
            event._replace(tick=self.piece.start_tick + event.tick)
            for event in self._context.release_all()
        ]
        self.tick += pause_ticks
        self._context = None
        return events

    def next_piece(self, *, restart: bool = False) -> list[Event]:
        """Abandon the piece at once.

        Args:
            restart: begin the same piece again instead of the next one.

        Returns:
            The events that release its notes.
        """
        events = self._end_piece() if self._context is not None else []
        if restart and self.piece.number:
            self._restarted = self.piece
        return events

    def change_model(self, model_file: ModelFile) -> list[Event]:
        """Abandon the piece, and compose the next one with another model.

        Returns:
            The events that release the piece's notes.

        Raises:
            BachboxError: the runtime refuses the model; everything stays as it was.
        """
        self.step_model = StepModel(model_file)
        self.model_file = model_file
        return self.next_piece()

    def snapshot(self) -> Snapshot | None:
        """Return what is needed to compose again from here; ``None`` between two pieces."""
        if self._context is None:
            return None
        return Snapshot(
            tick=self.tick,
            piece=self.piece,
            context=self._context.copy(),
            token_count=self._token_count,
            model_state=self.step_model.state,
            rng_state=self._rng.bit_generator.state,
            stall_detector=self.stall_detector.copy(),
            performance=self._performance.copy(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this composer; temperature and top-p stay as they are now."""
        self._sampled_ending.clear()
        self.tick = snapshot.tick
        self.piece = snapshot.piece
        self._context, self._token_count = snapshot.context.copy(), snapshot.token_count
        self.step_model.state = snapshot.model_state
        self._rng.bit_generator.state = snapshot.rng_state
        self.stall_detector = snapshot.stall_detector.copy()
        self._performance = snapshot.performance.copy()

    def resume(self, events: list[Event], horizon_tick: int) -> list[Event]:
        """Take over from a composer that died, after the ``events`` of its last piece.

        With the same seed and an unchanged temperature the music continues as if nothing had
        happened: the form is drawn again from the seed, and every token uses exactly one random
        number.

        Args:
            events: everything since (and with) the last :class:`PieceStart`.
            horizon_tick: the tick up to which the music was complete.

        Returns:
            If the piece cannot be continued: the events that release its notes.

        Raises:
            BachboxError: the delegate failed, and the runtime refuses the model on the CPU.
        """
        first = events[0] if events else None
        if not isinstance(first, PieceStart):
            # A piece longer than the ring's memory: abandon it and begin another.
            self.tick = horizon_tick
            return _release(events, horizon_tick)
        tokens = [token for e in events if isinstance(e, Tokens) for token in e.tokens]
        self.piece, self.tick, self._context = first.piece, horizon_tick, None
        form, _ = self._choose_form_and_key(self.piece.number)
        if form.bar_steps != self.piece.beats_per_bar * form.beat_steps:
            form = DEFAULT_FORM
        context = self._start_context(self.piece, form)
        self.tick = self.piece.start_tick
        if max(tokens, default=0) >= len(self.model_file.vocabulary):
            tokens = []
        while self._token_count < len(tokens) and not self._is_over(context):
            self._compose_step(context, tokens[self._token_count :])
        # The composer that died has counted all this.
        self.counts = Counts()
        self.stall_detector.interventions.clear()
        if self.tick == horizon_tick:
            return []
        # The piece had ended with its pause, or another model composed it.
        self._context, self.tick = None, horizon_tick
        return _release(events, horizon_tick)


def _release(events: list[Event], tick: int) -> list[Event]:
    """The note-offs at ``tick`` for the notes that still sound after ``events``."""
    return [NoteOff(tick, note.voice, note.pitch) for note in still_sounding(events)]
