"""The passages of a piece that are rehearsed: its opening, and what leads to its cadences."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.composing.snapshot import Progress
from appliance.composing.token_source import Passage
from appliance.music.codecs.base import Cadence, Context, Goal, is_over
from appliance.music.events import TICKS_PER_STEP, Event, Piece
from appliance.music.key_finding import key_clarity
from appliance.music.notes import Note, paired
from appliance.music.traits import Traits, traits_of

OPENING_BARS = 4
OPENING_SAMPLES, HALF_SAMPLES, ENDING_SAMPLES = 6, 8, 12
"""How many samples of each passage are compared."""
FIRST_OPENING_SAMPLES = 3
"""The same for the first piece of a session, which somebody is waiting for."""
CLEAR_KEY = 0.04
"""A clarity (see :func:`key_clarity`) that is enough."""
MIDDLE_BARS, MIDDLE_SAMPLES = 2, 4
"""The bars between are compared with the piece from which the form comes, so many at a time."""
MOSTLY_ALONE = 0.5
"""Where one note sounds alone for more of the time, no voices can vanish."""
SLIGHT_FAULT = 0.15
"""A fault (see :func:`_fault`) that is left alone."""
THICKEST = 1.5
"""Times as many notes in a quarter as in the form's piece are not too many."""
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
    if form.facts.traits is not None and form.facts.traits.alone < MOSTLY_ALONE:
        return _middle(context, progress, form.facts.traits, opening_ticks, spare_steps)
    if context.at_double_bar or (progress.passage == "opening" and context.tick >= opening_ticks):
        return Passage("middle", 0, is_over, lambda *_: 0.0, 0.0)
    return None


def _middle(
    context: Context, progress: Progress, traits: Traits, opening_ticks: int, spare_steps: float
) -> Passage | None:
    """The next bars between the opening and a closing, which keep the traits of a piece.

    Otherwise music that is sampled note by note drifts into one voice alone, and stays there.
    """
    form, steps = context.form, MIDDLE_BARS * context.form.bar_steps
    number = (context.tick - opening_ticks) // (steps * TICKS_PER_STEP)
    name = f"middle {number}"
    closes = progress.passage == Goal.DOUBLE_BAR.value and not context.at_double_bar
    if number < 0 or closes or progress.passage in (name, Goal.END.value):
        return None
    end_tick = opening_ticks + (number + 1) * steps * TICKS_PER_STEP

    def over(context: Context) -> bool:
        ends = context.tick >= end_tick or context.goal is not None
        return ends or context.at_double_bar or is_over(context)

    def likeness(context: Context, events: list[Event]) -> float:
        notes = _notes(context, events)
        if not notes:
            return -1.0
        return -_fault(traits_of(notes, form.bar_steps, form.pickup_steps), traits)

    samples = int(min(MIDDLE_SAMPLES, spare_steps / steps))
    return Passage(name, samples, over, likeness, -SLIGHT_FAULT)


def _fault(found: Traits, wanted: Traits) -> float:
    """What some bars have too much of, as shares added up; 0: they are as wanted."""
    density = found.notes_per_quarter / wanted.notes_per_quarter
    names = ("alone", "top_repeats", "bass_repeats", "bass_leaps")
    excess = (getattr(found, name) - getattr(wanted, name) for name in names)
    too_much = float(sum(max(0.0, one) for one in excess))
    return too_much + max(0.0, 1 - density, density - THICKEST) / 2


def _notes(context: Context, events: list[Event]) -> list[Note]:
    """The notes that begin in ``events``, as :func:`.traits_of` takes them."""
    found = (
        Note(on.tick, (context.tick if off is None else off.tick) - on.tick, on.pitch)
        for on, off in paired(events)
    )
    sounding = (note for note in found if note.length > 0)
    return sorted(sounding, key=lambda note: (note.start, -note.pitch))


def _opening(samples: int, end_tick: int) -> Passage:
    """The first bars, which state the key."""

    def clarity(context: Context, events: list[Event]) -> float:
        return key_clarity(_notes(context, events), context.key)

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
