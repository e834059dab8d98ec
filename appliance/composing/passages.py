"""The passages of a piece that are rehearsed: its opening, and what leads to its cadences."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.composing.snapshot import Progress
from appliance.composing.token_source import Passage
from appliance.music.codecs.base import Cadence, Context, Goal, is_over
from appliance.music.events import TICKS_PER_STEP, Event, Piece
from appliance.music.key_finding import key_clarity
from appliance.music.notes import Note, paired

OPENING_BARS = 4
OPENING_SAMPLES, HALF_SAMPLES, ENDING_SAMPLES = 6, 8, 12
"""How many samples of each passage are compared."""
FIRST_OPENING_SAMPLES = 3
"""The same for the first piece of a session, which somebody is waiting for."""
CLEAR_KEY = 0.04
"""A clarity (see :func:`key_clarity`) that is enough."""
CLOSING_STEPS = 32
"""About how many 16ths a passage before a double bar or end has."""


def beginning_at(
    context: Context, progress: Progress, piece: Piece, spare_steps: float
) -> Passage | None:
    """The passage that begins at ``context``; ``None`` within one.

    Args:
        context: of the piece.
        progress: of the piece; its passage is the one before.
        piece: the piece.
        spare_steps: for how many 16ths of composing there is time; it limits the samples.
    """
    form = context.form
    opening_ticks = (form.pickup_steps + OPENING_BARS * form.bar_steps) * TICKS_PER_STEP
    if not progress.token_count:
        samples = FIRST_OPENING_SAMPLES if piece.number == 1 else OPENING_SAMPLES
        affordable = spare_steps * TICKS_PER_STEP / opening_ticks
        return _opening(int(min(samples, affordable)), opening_ticks)
    if goal := context.goal:
        return _closing(goal, spare_steps)
    if context.at_double_bar or (progress.passage == "opening" and context.tick >= opening_ticks):
        return Passage("middle", 0, is_over, lambda *_: 0.0, 0.0)
    return None


def _opening(samples: int, end_tick: int) -> Passage:
    """The first bars, which state the key."""

    def clarity(context: Context, events: list[Event]) -> float:
        notes = [
            Note(on.tick, (context.tick if off is None else off.tick) - on.tick, on.pitch)
            for on, off in paired(events)
        ]
        return key_clarity(notes, context.key)

    return Passage(
        name="opening",
        samples=samples,
        over=lambda context: context.tick >= end_tick or is_over(context),
        merit=clarity,
        enough=CLEAR_KEY,
    )


def _closing(goal: Goal, spare_steps: float) -> Passage:
    """The last bars before the double bar or the end, which make a cadence."""
    at_end = goal is Goal.END
    wanted = ENDING_SAMPLES if at_end else HALF_SAMPLES
    return Passage(
        name=goal.value,
        samples=int(min(wanted, spare_steps / CLOSING_STEPS)),
        over=is_over if at_end else lambda context: context.at_double_bar or is_over(context),
        merit=lambda context, _: context.cadence(),
        # Hardly any first half comes to rest on a full cadence: none is waited for.
        enough=Cadence.FULL if at_end else Cadence.TONIC,
    )


def covers(tokens: Sequence[int], context: Context, passage: Passage) -> bool:
    """Whether ``tokens``, which are known, complete a passage that begins at ``context``."""
    tried = context.copy() if tokens else context
    for token in tokens:
        if passage.over(tried):
            return True
        tried.accept(token)
    return bool(tokens) and passage.over(tried)
