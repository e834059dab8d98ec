"""The composer: an endless sequence of pieces, one step of the music at a time.

It uses no thread, device, network or clock. The same model, seed and runtime give the same
music::

    for event in Composer(model_file.load(path), seed=1):
        ...
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from appliance.composing import passages, sampler
from appliance.composing.groups import goes_on_at_once
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import ModelFile
from appliance.composing.piece_plan import PiecePlanner
from appliance.composing.programme import DEFAULT_FORM
from appliance.composing.repeats import AGAIN, LEFT_OUT, MARKS, Rendition, Step
from appliance.composing.snapshot import Counts, Progress, Snapshot
from appliance.composing.stall_detector import STALLS, StallDetector
from appliance.composing.token_source import Conditions, TokenSource
from appliance.music.codecs.base import Context, Opening, is_over
from appliance.music.events import (
    FULL_TEMPO_PERMILLE,
    TICKS_PER_STEP,
    Event,
    NoteOff,
    NoteOn,
    Piece,
    PieceStart,
    TempoFactor,
    token_events,
    tokens_of,
)
from appliance.music.expression import BREATH_TICKS
from appliance.music.notes import still_sounding
from appliance.music.score import Form, Key


class Composer:
    """Composes endlessly.

    Args:
        model_file: the model.
        seed: any integer; a random one if not given (see ``seed``).
        temperature, top_p: the model's own if not given; may be changed at any time.
        prime: music that the first piece starts from. A restart of that piece starts from it too.
        repeats: what is marked for it is played again; may be changed at any time.
        key: the only key of the pieces; any if not given (see :meth:`change_key`).

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
        repeats: bool = True,
        key: Key | None = None,
    ) -> None:
        self.model_file = model_file
        self.seed = secrets.randbits(31) if seed is None else seed & (2**63 - 1)
        self.temperature = model_file.temperature if temperature is None else temperature
        self.top_p = model_file.top_p if top_p is None else top_p
        sampler.check(self.temperature, self.top_p)
        self.repeats = repeats
        """Whether halves and tunes that come next are played again."""
        self.counts = Counts()
        self.stall_detector = StallDetector()
        self.tick = 0
        """The tick up to which the music is complete."""
        self.piece = Piece(0, 0, False, 4, 0, 0)
        self.spare_steps = math.inf
        """For how many 16ths of composing there is time before the music is needed. It limits how
        many samples of a passage are compared."""
        self.on_token: Callable[[], None] = lambda: None
        """Called for each token, those of discarded samples too, as a sign of life."""
        self._tokens = TokenSource(self.seed, StepModel(model_file), lambda: self.on_token())
        self._context: Context | None = None
        self._progress = Progress()
        self._rendition = Rendition(DEFAULT_FORM, 0, 1)
        self._key = key
        self._planner = PiecePlanner(self.seed, model_file, key, prime)
        self._times = 1
        """How often the piece is played if it has no halves and ``repeats`` is on."""
        self._prime = prime
        self._restarted: Piece | None = None
        self._given: list[int] = []
        """Tokens and marks of a composer that died, to be taken over, the next one last."""

    @property
    def step_model(self) -> StepModel:
        """Runs the model."""
        return self._tokens.step_model

    @step_model.setter
    def step_model(self, step_model: StepModel) -> None:
        self._tokens.step_model = step_model

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
        context = self._context
        if context is None:
            return self._begin_piece()
        if self._plays_again(context):
            return self._play_again(context)
        if self._is_over(context):
            return self._end_piece()
        return self._compose_step(context)

    def _is_over(self, context: Context) -> bool:
        return is_over(context) or self.stall_detector.give_up

    def _plays_again(self, context: Context) -> bool:
        """Whether a repeat goes on, or a section is complete that is now played once more."""
        rendition = self._rendition
        if rendition.in_repeat or rendition.section_is_empty or self.stall_detector.give_up:
            return rendition.in_repeat
        if not (context.at_double_bar or context.done):
            return False
        if self._given:
            return self._given[-1] == AGAIN
        return not self._is_last_time(context)

    def _is_last_time(self, context: Context) -> bool:
        """Whether the present section is not to be played again after this time.

        A section that ends while the music is stuck is not.
        """
        if not self.repeats or self.stall_detector.stall:
            return True
        halves = context.at_double_bar or self._rendition.section
        return self._rendition.times_played >= (2 if halves else self._times)

    def _closes(self, context: Context) -> bool:
        """Whether what is played ends the piece, so that it slows down at its end."""
        return self._is_last_time(context) and not goes_on_at_once(self.piece)

    def _play_again(self, context: Context) -> list[Event]:
        """Play the next step of a section once more."""
        start = self.tick
        if self._given:
            self._given.pop()
        events, self.tick = self._rendition.play_again(
            bar_ticks=context.form.bar_steps * TICKS_PER_STEP,
            last_time=self._closes(context),
        )
        self._count(start, events, judged=False)
        return token_events(start, [AGAIN]) + events

    def _count(self, start: int, events: list[Event], *, judged: bool) -> None:
        """Count the notes among new events, and let the stall detector see them."""
        self.counts.notes += sum(isinstance(event, NoteOn) for event in events)
        self.stall_detector.update(start, self.tick, events, judged=judged)

    def _compose_step(self, context: Context) -> list[Event]:
        """Add tokens until the music is complete up to a later tick."""
        start, start_in_piece = self.tick, context.tick
        if context.at_double_bar and not self._rendition.section_is_empty:
            self._rendition.begin_section(context.tick)
        left_out = self._leaves_out(context)
        judged = not self._primed()
        self._begin_passage(context)
        tokens = [LEFT_OUT] if left_out else []
        composed: list[Event] = []
        while context.tick == start_in_piece and not context.done:
            token = self._next_token(context)
            tokens.append(token)
            composed += context.accept(token)
        step = Step(start_in_piece, context.tick, tuple(composed))
        if left_out:
            self._rendition.leave_out(step)
            return token_events(start, tokens)
        events = self._rendition.play(step, last_time=self._closes(context))
        self.tick = self._rendition.tick_of(context.tick)
        self._count(start, events, judged=judged)
        return token_events(start, tokens) + events

    def _leaves_out(self, context: Context) -> bool:
        """Whether what comes next is a repeat that the codec writes and nobody wants to hear."""
        before = self._progress
        if self._given:
            left_out = self._given[-1] == LEFT_OUT
            if left_out:
                self._given.pop()
        elif context.in_repeat and before.in_repeat:
            left_out = before.leaves_out
        else:
            left_out = context.in_repeat and not self.repeats
        self._progress = before._replace(in_repeat=context.in_repeat, leaves_out=left_out)
        return left_out

    def _primed(self) -> Sequence[int]:
        """What is left of the prime."""
        prime = self._prime if self.piece.number == 1 else None
        return prime.tokens[self._progress.token_count :] if prime else ()

    def _next_token(self, context: Context) -> int:
        """The next token: one that is known, or a sampled one."""
        self.counts.tokens += 1
        while self._given and self._given[-1] in MARKS:
            self._given.pop()
        if self._given:
            token = self._tokens.give(context, self._given.pop())
        elif primed := self._primed():
            token = self._tokens.give(context, primed[0])
        else:
            token = self._tokens.sample(context, self._conditions())
        self._progress = self._progress._replace(token_count=self._progress.token_count + 1)
        return token

    def _conditions(self) -> Conditions:
        stall = self.stall_detector.stall
        temperature = self.stall_detector.boosted(self.temperature, self.tick)
        return Conditions(temperature, self.top_p, stall == "silence", planned=stall is None)

    def _begin_passage(self, context: Context) -> None:
        """If a passage begins here, rehearse it, and use random numbers of its own.

        A passage whose tokens are known already is not rehearsed: the next one begins with the
        same random numbers in any case. Nor is one that begins with a prime.
        """
        passage = passages.beginning_at(context, self._progress, self.piece, self.spare_steps)
        if passage is None:
            return
        number = self._progress.passages + 1
        self._progress = self._progress._replace(passages=number, passage=passage.name)
        self._tokens.begin(self.piece.number, number, 0)
        if self._primed():
            return
        known = [token for token in reversed(self._given) if token not in MARKS]
        if passage.samples and not passages.covers(known, context, passage):
            self._tokens.rehearse(context, self._conditions(), passage, self.piece.number, number)

    def _begin_piece(self) -> list[Event]:
        restarted, self._restarted = self._restarted, None
        if restarted:
            piece = restarted._replace(start_tick=self.tick)
            form = self._planner.form_of(piece)
        else:
            piece, form = self._planner.piece(self.piece.number + 1, self.tick)
        self._start_context(piece, form)
        self.counts.pieces += 1
        return [PieceStart.of(piece), TempoFactor(self.tick, FULL_TEMPO_PERMILLE)]

    def _start_context(self, piece: Piece, form: Form) -> Context:
        """Start an empty piece, with the model's memory cleared."""
        self.piece = piece
        codec = self.model_file.codec
        if form.facts.program is None:
            own = self.model_file.instrument
            form = form._replace(facts=replace(form.facts, program=own))
        self._context = context = codec.start(form, Key(piece.tonic, piece.minor))
        self._rendition = Rendition(context.form, piece.start_tick, codec.voices)
        self._times = piece.times
        self._progress = Progress()
        self.step_model.reset()
        self.stall_detector.new_piece(piece.start_tick)
        return context

    def _end_piece(self) -> list[Event]:
        """Release the last chord and leave a pause; rests at the end of the piece count in it."""
        silent_ticks = self.stall_detector.silent_ticks(self.tick)
        return self._close_piece(self._planner.pause_ticks(self.piece, self.tick, silent_ticks))

    def _close_piece(self, silent_ticks: int) -> list[Event]:
        """Release what sounds, and leave a pause, which is not slowed down."""
        events = self._rendition.release(self.tick)
        if silent_ticks:
            events.append(TempoFactor(self.tick, FULL_TEMPO_PERMILLE))
        self.tick += silent_ticks
        self._context = None
        return events

    def next_piece(self, *, restart: bool = False) -> list[Event]:
        """Abandon the piece at once.

        Args:
            restart: begin the same piece again instead of the next one.

        Returns:
            The events that release its notes.
        """
        events = self._close_piece(BREATH_TICKS) if self._context is not None else []
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
        self._planner = PiecePlanner(self.seed, model_file, self._key, self._prime)
        return self.next_piece()

    def change_key(self, key: Key | None) -> None:
        """Compose in this key only, or in any, from the next piece on that begins."""
        if key != self._key:
            self._key = key
            self._planner = PiecePlanner(self.seed, self.model_file, key, self._prime)

    def snapshot(self) -> Snapshot | None:
        """Return what is needed to compose again from here; ``None`` between two pieces."""
        if self._context is None:
            return None
        return Snapshot(
            tick=self.tick,
            piece=self.piece,
            context=self._context.copy(),
            progress=self._progress,
            token_state=self._tokens.state,
            stall_detector=self.stall_detector.copy(),
            rendition=self._rendition.copy(),
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to a snapshot of this composer; temperature and top-p stay as they are now."""
        self.tick = snapshot.tick
        self.piece = snapshot.piece
        self._context, self._progress = snapshot.context.copy(), snapshot.progress
        self._tokens.restore(snapshot.token_state)
        self.stall_detector = snapshot.stall_detector.copy()
        self._rendition = snapshot.rendition.copy()

    def resume(self, events: list[Event], horizon_tick: int) -> list[Event]:
        """Take over from a composer that died, after the ``events`` of its last piece.

        With the same seed and an unchanged temperature the music continues as if nothing had
        happened: the piece's start says which form it has, and every token uses exactly one random
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
        tokens = tokens_of(events)
        self.piece, self.tick, self._context = first.piece, horizon_tick, None
        form = self._planner.form_of(self.piece)
        context = self._start_context(self.piece, form)
        self.tick = self.piece.start_tick
        if all(token < len(self.model_file.vocabulary) or token in MARKS for token in tokens):
            self._given = tokens[::-1]
        while self._given and (self._plays_again(context) or not self._is_over(context)):
            self.step()
        self._given.clear()
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
