"""Finds what comes again in the pieces of a corpus: their maps of returns, without notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from appliance.music.codecs.abc.context import AbcContext
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.tokens import PITCHES, TOKEN
from appliance.music.events import TICKS_PER_STEP
from appliance.music.notes import Note
from appliance.music.returns import Entry, Return
from appliance.music.score import FreeRhythmScore, Score
from appliance.training.data.bar_likeness import Places, by_place, common_notes, note_count

Bar = frozenset[tuple[int, int]]
"""The notes struck in a bar: place in the bar and pitch."""

LIKENESS = 0.5
"""From this share of common notes in all notes of both on, two bars are alike."""
TUNE_LIKENESS = 0.8
"""The same for a tune in ABC: what is less alike returns by itself, as often as in the corpus."""
MIN_NOTES = 3
"""A bar with fewer notes is like too many others."""
LOOP_STEPS = 32
"""Unchanged music up to this distance is a loop; no more than this is planned."""
SUBJECT_NOTES = 8
"""An entry has at least this many notes of the opening, all but two of them exact."""
MAX_SUBJECT_NOTES = 12


def with_returns(score: Any) -> Any:
    """A score of any codec with its map of returns among the facts of its form."""
    entries = entries_of(score) if isinstance(score, FreeRhythmScore) else ()
    facts = replace(score.form.facts, returns=returns_of(score), entries=entries)
    return replace(score, form=score.form._replace(facts=facts))


def returns_of(score: Score | FreeRhythmScore | AbcScore) -> tuple[Return, ...]:
    """The bars of a score that are as earlier ones, as passages."""
    if isinstance(score, AbcScore):
        return find_returns(_bars_of_tune(score), score.form.bar_steps, TUNE_LIKENESS)
    notes = _struck(score)
    bar_ticks = score.form.bar_steps * TICKS_PER_STEP
    pickup_ticks = score.form.pickup_steps * TICKS_PER_STEP
    return find_returns(_bars(notes, bar_ticks, pickup_ticks), score.form.bar_steps)


def _struck(score: Score | FreeRhythmScore) -> list[tuple[int, int]]:
    """Ticks and pitches."""
    if isinstance(score, FreeRhythmScore):
        return [(note.start, note.pitch) for note in score.notes]
    return [
        (step * TICKS_PER_STEP, pitch)
        for step, (row, struck) in enumerate(zip(score.pitches, score.onsets, strict=True))
        for pitch, is_struck in zip(row, struck, strict=True)
        if is_struck
    ]


def _bars(notes: Iterable[tuple[int, int]], bar_ticks: int, pickup_ticks: int) -> list[Bar]:
    bars: dict[int, set[tuple[int, int]]] = {}
    for tick, pitch in notes:
        bar, place = divmod(tick - pickup_ticks, bar_ticks)
        bars.setdefault(bar, set()).add((place, pitch))
    return [frozenset(bars.get(bar, ())) for bar in range(max(bars, default=-1) + 1)]


def _bars_of_tune(score: AbcScore) -> list[Bar]:
    """The bars as they are written, with scale degrees for pitches."""
    context = AbcContext(score.form, score.key)
    bars: dict[int, set[tuple[int, int]]] = {}
    for symbol in score.symbols:
        if symbol in PITCHES:
            here, bar = context.place_in_bar()
            bars.setdefault(bar, set()).add((here, PITCHES[symbol]))
        while context.replays:
            context.accept(min(context.allowed_tokens()))
        context.accept(TOKEN[symbol])
    first = 1 if score.form.pickup_steps else 0
    return [frozenset(bars.get(bar, ())) for bar in range(first, max(bars, default=-1) + 1)]


def find_returns(
    bars: Sequence[Bar], bar_steps: int, likeness: float = LIKENESS
) -> tuple[Return, ...]:
    """Passages that are as earlier ones, in order; no bar is in two of them.

    The longest passage is taken first, of two the one that is moved less, then the one that is
    nearer to its source, and so on with the bars that are left.

    Args:
        bars: of the piece.
        bar_steps: their length.
        likeness: the least share of common notes of two bars that are alike.
    """
    runs = _runs(bars, likeness)
    found: list[Return] = []
    free = set(range(len(bars)))
    while runs:
        best = max(runs, key=lambda run: (run.bars, -abs(run.move or 0), run.source_bar))
        runs.remove(best)
        cut = _free_part(best, free)
        if cut != best:
            if cut is not None:
                runs.append(cut)
            continue
        found.append(_without_loop(best, bar_steps))
        free -= set(range(best.bar, best.bar + best.bars))
    return tuple(sorted(found))


def _runs(bars: Sequence[Bar], likeness: float) -> list[Return]:
    """All passages of bars that are alike at one distance and moved by as much."""
    runs: list[Return] = []
    notes = [by_place(bar) for bar in bars]
    for distance in range(1, len(bars)):
        going_on: dict[int, int] = {}
        for bar in range(distance, len(bars) + 1):
            moves = (
                _moves(notes[bar], notes[bar - distance], likeness) if bar < len(bars) else set()
            )
            for move in [*going_on]:
                if move not in moves:
                    first = going_on.pop(move)
                    runs.append(Return(first, first - distance, bar - first, move))
            for move in moves:
                going_on.setdefault(move, bar)
    return runs


def _moves(bar: Places, source: Places, likeness: float) -> set[int]:
    """By how much the source can be moved to be like the bar."""
    if min(note_count(bar), note_count(source)) < MIN_NOTES:
        return set()
    total = note_count(bar) + note_count(source)
    found = common_notes(bar, source).items()
    return {move for move, common in found if common >= likeness * (total - common)}


def _free_part(run: Return, free: set[int]) -> Return | None:
    """The first part of a passage whose bars are all free; ``None`` if none is."""
    inside = [number for number in range(run.bars) if run.bar + number in free]
    if not inside:
        return None
    first = last = inside[0]
    while last + 1 in inside:
        last += 1
    return Return(run.bar + first, run.source_bar + first, last - first + 1, run.move)


def _without_loop(run: Return, bar_steps: int) -> Return:
    """A passage that does not repeat what is near by for long."""
    if run.move or (run.bar - run.source_bar) * bar_steps > LOOP_STEPS:
        return run
    return run._replace(bars=min(run.bars, max(1, LOOP_STEPS // bar_steps)))


def entries_of(score: FreeRhythmScore) -> tuple[Entry, ...]:
    """Where the melody of the opening is heard again, in order."""
    top = _top_line(score.notes)[:MAX_SUBJECT_NOTES]
    if len(top) < SUBJECT_NOTES:
        return ()
    struck: dict[int, list[int]] = {}
    for note in score.notes:
        struck.setdefault(note.start, []).append(note.pitch)
    found: list[Entry] = []
    for tick, pitches in struck.items():
        later = tick - top[0].start
        for pitch in pitches:
            move = pitch - top[0].pitch
            heard = _notes_heard(top, struck, later, move)
            if later and heard >= SUBJECT_NOTES and not later % TICKS_PER_STEP:
                lower = any(n.pitch > pitch and n.start <= tick < n.end for n in score.notes)
                found.append(Entry(later // TICKS_PER_STEP, move, heard, lower))
    return tuple(sorted(found))


def _top_line(notes: Sequence[Note]) -> list[Note]:
    """The notes above which nothing sounds when they are struck."""
    top: list[Note] = []
    sounding: list[Note] = []
    for note in notes:
        sounding = [other for other in sounding if other.end > note.start]
        if all(other.pitch < note.pitch for other in sounding):
            top.append(note)
        sounding.append(note)
        if len(top) == MAX_SUBJECT_NOTES:
            break
    return top


def _notes_heard(top: Sequence[Note], struck: dict[int, list[int]], later: int, move: int) -> int:
    """How many of the opening's notes come again; one may be a step off, or a semitone."""
    off_by_step = 0
    for number, note in enumerate(top):
        wanted = note.pitch + move
        off = min((abs(p - wanted) for p in struck.get(note.start + later, ())), default=99)
        off_by_step += off == 2
        if off > 2 or off_by_step > (number + 1) // 4 + 1:
            return number
    return len(top)
