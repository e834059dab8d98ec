"""Composing with a choice: every bar is drawn several times from one prefix, and one is kept.

The music is drawn by the composer itself, with its settings, forbidden tokens and calibration.
Openings and endings, which it rehearses when it plays, are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.composing.composer import Composer
from appliance.composing.model_file import ModelFile
from appliance.composing.passages import CLOSING_STEPS, OPENING_BARS
from appliance.composing.repeats import MARKS
from appliance.composing.snapshot import Snapshot
from appliance.music.codecs.base import Context
from appliance.music.events import TICKS_PER_STEP, Event, NoteOff, PieceStart, tokens_of
from appliance.music.notes import Note, still_sounding
from appliance.music.score import Form
from appliance.training.data.batches import NO_INPUT, EncodedPiece
from appliance.training.evaluate.finished_pieces import FinishedPiece, notes_of
from appliance.training.preferences.bar_features import (
    Bar,
    bar_at,
    bar_features,
    bars_of,
    first_bar_tick,
)
from appliance.training.preferences.copies import CopyGuard
from appliance.training.preferences.critic import Critic

MIN_SPAN_STEPS = 12
"""A candidate has as many whole bars as it takes to be this long."""
PREFIX_TOKENS = 240
"""As much of what comes before a candidate is kept."""
MAX_CANDIDATE_TOKENS = 240
MAX_CHOICES = 24
"""At most this many in a piece, so that long pieces do not outweigh the others."""


class Candidates(NamedTuple):
    """What was drawn from one prefix."""

    prefix: EncodedPiece
    """The last tokens before the candidates."""
    drawn: list[EncodedPiece]
    scores: list[float]
    """The critic's, one for each of ``drawn``."""
    copied: list[bool]
    """Which of them repeat too much of the corpus to be chosen."""


class _Recorder:
    """Replays a piece's tokens for the model's inputs at each of them."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.inputs: list[list[int]] = []
        self.tokens: list[int] = []

    def branch(self) -> _Recorder:
        """Return a recorder that continues from here, with nothing recorded."""
        return _Recorder(self.context.copy())

    def add(self, tokens: Sequence[int]) -> None:
        """Record the tokens that come next."""
        for token in tokens:
            self.inputs.append(self.context.features())
            self.tokens.append(token)
            self.context.accept(token)

    def encoded(self, last: int) -> EncodedPiece:
        """Return the last tokens with their inputs."""
        rows = self.inputs[-last:]
        k = max(map(len, rows))
        features = [row + [NO_INPUT] * (k - len(row)) for row in rows]
        return EncodedPiece(np.array(features, np.int16), np.array(self.tokens[-last:], np.int16))


class _Draft(NamedTuple):
    """One candidate while it is weighed."""

    events: list[Event]
    tokens: list[int]
    after: Snapshot | None


class Chooser:
    """Composes pieces, choosing among candidates.

    Args:
        model: the model file.
        critic: says what it thinks of a bar.
        guard: knows what is copied.
        count: how many candidates are drawn from each prefix.
        seed: of everything random.
    """

    def __init__(
        self, model: ModelFile, critic: Critic, guard: CopyGuard, count: int, seed: int
    ) -> None:
        self._critic, self._guard, self._count, self._seed = critic, guard, count, seed
        self._composer = Composer(model, seed=seed, repeats=False)
        self._composer.spare_steps = 0  # Nothing is rehearsed.
        self._rng = np.random.default_rng([seed, 1])

    def compose(self) -> list[Candidates]:
        """Compose the next piece as far as its ending, and return what was drawn for it.

        Raises:
            BachboxError: the runtime refuses the model.
        """
        composer = self._composer
        events = composer.step()
        assert isinstance(events[0], PieceStart)
        start, snapshot = composer.tick, composer.snapshot()
        assert snapshot is not None
        context = snapshot.context
        form, key, recorder = context.form, context.key, _Recorder(context.copy())
        choices: list[Candidates] = []
        ticks = form.bar_steps * TICKS_PER_STEP
        bars = -(-MIN_SPAN_STEPS // form.bar_steps)
        next_tick = first_bar_tick(form) + OPENING_BARS * ticks
        while len(choices) < MAX_CHOICES and (snapshot := composer.snapshot()) is not None:
            tick = composer.tick - start
            if _steps_after(form, tick, bars) >= form.steps:
                break
            while next_tick + ticks <= tick:
                next_tick += ticks
            if tick < next_tick or _at_double_bar(form, tick, bars):
                new = composer.step()
                recorder.add(_tokens(new))
                events += new
                continue
            end_tick = next_tick + bars * ticks
            drafts = [self._draw(snapshot, start + end_tick) for _ in range(self._count)]
            notes = [_notes(events + d.events, start, end_tick) for d in drafts]
            past = bars_of(FinishedPiece(_notes(events, start, tick), key, form, tick))
            index = (next_tick - first_bar_tick(form)) // ticks
            scores = [
                self._score(past[:index], n, range(next_tick, end_tick, ticks), form, context)
                for n in notes
            ]
            copied = [self._guard.is_copied(n, next_tick) for n in notes]
            encoded = []
            for draft in drafts:
                branch = recorder.branch()
                branch.add(draft.tokens)
                encoded.append(branch.encoded(MAX_CANDIDATE_TOKENS))
            choices.append(Candidates(recorder.encoded(PREFIX_TOKENS), encoded, scores, copied))
            chosen = drafts[self._choose(np.array(scores), np.array(copied))]
            if chosen.after is None:
                break
            composer.restore(chosen.after)
            recorder.add(chosen.tokens)
            events += chosen.events
            next_tick = end_tick
        composer.next_piece()
        return choices

    def _draw(self, snapshot: Snapshot, end_tick: int) -> _Draft:
        """Compose from a snapshot up to a tick, with random numbers of its own."""
        state, _ = snapshot.token_state
        seed = int(self._rng.integers(2**62))
        fresh = np.random.default_rng(seed).bit_generator.state
        composer = self._composer
        composer.restore(snapshot._replace(token_state=(state, fresh)))
        events: list[Event] = []
        after = composer.snapshot()
        while after is not None and composer.tick < end_tick:
            events += composer.step()
            after = composer.snapshot()
        return _Draft(events, _tokens(events), after)

    def _score(
        self,
        past: Sequence[Bar],
        notes: Sequence[Note],
        starts: range,
        form: Form,
        context: Context,
    ) -> float:
        """The sum of what the critic thinks of the bars that begin at ``starts``."""
        bars = [*past, *(bar_at(notes, start, starts.step) for start in starts)]
        rows = [
            bar_features(bars, index, context.key, form) for index in range(len(past), len(bars))
        ]
        return float(self._critic.scores(np.array(rows)).sum())

    def _choose(self, scores: NDArray[np.float64], copied: NDArray[np.bool_]) -> int:
        """Draw one with the weight exp(score): the critic's score is a logarithm of odds."""
        usable = scores if copied.all() else np.where(copied, -np.inf, scores)
        weights = np.exp(usable - usable.max())
        return int(self._rng.choice(len(scores), p=weights / weights.sum()))


def _steps_after(form: Form, tick: int, bars: int) -> int:
    """The step from which on a cadence may matter when this many bars have been composed."""
    return tick // TICKS_PER_STEP + bars * form.bar_steps + CLOSING_STEPS


def _at_double_bar(form: Form, tick: int, bars: int) -> bool:
    """Whether bars from ``tick`` on would be part of the cadence at the double bar."""
    first = tick // TICKS_PER_STEP - form.bar_steps
    return first < (form.facts.double_bar_step or 0) <= _steps_after(form, tick, bars)


def _tokens(events: Sequence[Event]) -> list[int]:
    return [token for token in tokens_of(events) if token not in MARKS]


def _notes(events: Sequence[Event], start: int, end: int) -> tuple[Note, ...]:
    """The notes of a piece so far; what still sounds is cut off at ``end``, a tick of the piece."""
    releases = [
        NoteOff(max(start + end, note.tick + 1), note.voice, note.pitch)
        for note in still_sounding(events)
    ]
    return notes_of([*events, *releases], start)
