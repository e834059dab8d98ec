"""Score files as scores in free rhythm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.files import score_reader
from appliance.music.files.score_file import ScoreFile
from appliance.music.key_finding import KEYS, key_fit, pitch_class_weights
from appliance.music.notes import Note
from appliance.music.score import Form, FreeRhythmScore, Key

GRID_TICKS = 10
"""A third of a 64th note: all durations that are usual in notation are multiples of it."""
LAST_NOTE_WEIGHT = 0.15
"""Share of all weight that the last bass note gets: pieces close on their tonic."""
MIN_PICKUP_ADVANTAGE = 1.3
"""How much better than no pickup a pickup must fit the notes to be assumed."""


def read(path: Path) -> FreeRhythmScore:
    """Read a user's MIDI or MusicXML file.

    Raises:
        UsageError: there is no such file, it is not a score, or it has no notes.
    """
    return to_free_rhythm(score_reader.read(path))


def to_free_rhythm(file: ScoreFile) -> FreeRhythmScore:
    """All notes of a score file.

    Raises:
        UsageError: it has none.
    """
    notes = [note for part in file.parts for note in part if note.length > 0 or file.engraved]
    meter = bar_and_beat_steps(*next(iter(file.time_signatures), (4, 4)))
    pickup_steps = None
    if file.first_bar_ticks is not None:
        pickup_steps = round(file.first_bar_ticks / TICKS_PER_STEP) % meter[0]
    score = score_from_notes(file.name, notes, meter, pickup_steps)
    notices = file.notices
    if len({*file.time_signatures}) > 1:
        over, under = file.time_signatures[0]
        notices = (*notices, f"its meter changes; all bars were counted in {over}/{under}")
    return replace(score, notices=notices)


def beginning(score: FreeRhythmScore, max_notes: int, max_steps: int) -> FreeRhythmScore:
    """The bars of a score up to its note number ``max_notes`` or 16th ``max_steps``.

    With a notice; the bar of the first note is always kept. A score that is not longer is returned
    as it is.

    Raises:
        UsageError: no note begins before 16th ``max_steps``.
    """
    too_many = len(score.notes) > max_notes
    if not too_many and score.form.steps <= max_steps:
        return score
    bar, pickup = score.form.bar_steps, score.form.pickup_steps
    step = min(max_steps, score.notes[max_notes].start // TICKS_PER_STEP if too_many else max_steps)
    first = score.notes[0].start // TICKS_PER_STEP
    if first >= max_steps:
        raise UsageError(
            f"{score.name}: it is silent for its first {first // bar} bars",
            remedy="cut the silence at its beginning",
        )
    bars = max(1, (first - pickup) // bar + 1, (step - pickup) // bar)
    steps = pickup + bars * bar
    end = steps * TICKS_PER_STEP
    return replace(
        score,
        notes=tuple(
            note._replace(length=min(note.length, end - note.start))
            for note in score.notes[:max_notes]
            if note.start < end
        ),
        form=score.form._replace(steps=steps),
        notices=(*score.notices, f"it is long; its first {bars} bars were read"),
    )


def score_from_notes(
    name: str,
    notes: Iterable[Note],
    meter: tuple[int, int],
    pickup_steps: int | None = None,
    key: Key | None = None,
) -> FreeRhythmScore:
    """Notes as a score: in order, without doubles, in the form that they fill.

    Args:
        name: of the piece.
        notes: in any order, their ticks on any grid.
        meter: bar and beat in 16th steps.
        pickup_steps: guessed from the notes by default.
        key: likewise.

    Raises:
        UsageError: there are no notes.
    """
    longest: dict[tuple[int, int], int] = defaultdict(int)
    for note in notes:
        start = round(note.start / GRID_TICKS) * GRID_TICKS
        length = max(GRID_TICKS, round(note.length / GRID_TICKS) * GRID_TICKS)
        longest[start, note.pitch] = max(length, longest[start, note.pitch])
    if not longest:
        raise UsageError(f"{name}: it has no notes")
    ordered = sorted(longest.items(), key=lambda item: (item[0][0], -item[0][1]))
    whole = tuple(Note(start, length, pitch) for (start, pitch), length in ordered)
    bar, beat = meter
    if pickup_steps is None:
        pickup_steps = pickup_of(whole, bar)
    steps = -(-max(note.end for note in whole) // TICKS_PER_STEP)
    return FreeRhythmScore(
        name, whole, key or key_of(whole), Form(bar, pickup_steps, steps, (), beat)
    )


def bar_and_beat_steps(numerator: int, denominator: int) -> tuple[int, int]:
    """Bar and beat of a time signature in 16th steps; common time if these are not whole."""
    bar = numerator * 16 // denominator
    if bar * denominator != numerator * 16 or not 4 <= bar <= 64:
        return (16, 4)
    if denominator >= 8 and numerator % 3 == 0 and numerator > 3:
        return (bar, max(1, 3 * 16 // denominator))
    return (bar, max(1, 16 // denominator)) if denominator >= 8 else (bar, 4 if bar % 4 == 0 else 1)


def pickup_of(notes: tuple[Note, ...], bar_steps: int) -> int:
    """The most likely pickup in 16th steps: long notes tend to begin where a bar does."""

    def weight(pickup: int) -> float:
        first, bar = pickup * TICKS_PER_STEP, bar_steps * TICKS_PER_STEP
        struck = (n for n in notes if (n.start - first) % bar == 0)
        return float(sum(min(n.length, TICKS_PER_BEAT) for n in struck))

    best = max(range(0, bar_steps, 2), key=weight)
    return best if weight(best) > MIN_PICKUP_ADVANTAGE * weight(0) else 0


def key_of(notes: tuple[Note, ...]) -> Key:
    """The most likely key of a whole piece, by the weight of its notes and its last bass note.

    Raises:
        ValueError: there are no notes.
    """
    weights = pitch_class_weights(notes)
    end = max(note.end for note in notes)
    last = min(note.pitch for note in notes if note.end == end) % 12
    weights[last] += LAST_NOTE_WEIGHT * sum(weights)
    return max(KEYS, key=lambda key: key_fit(weights, key))
