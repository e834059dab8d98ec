"""Score files as four-part scores on the 16th grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from appliance.errors import BachboxError, UsageError
from appliance.music.events import TICKS_PER_STEP
from appliance.music.files import score_reader
from appliance.music.files.score_file import ScoreFile
from appliance.music.notes import Note
from appliance.music.score import (
    HIGHEST_PITCH,
    LOWEST_PITCH,
    SILENT,
    VOICES,
    Form,
    Score,
    key_of,
)

MAX_STEPS = 512
"""How many 16ths of a user's file are taken; the rest of the piece is for the model to write."""
BAR_STEPS = {(4, 4): 16, (2, 2): 16, (3, 4): 12}
"""Length of a bar in 16ths, by time signature."""
MIN_FULL_SHARE = 0.75
"""In a file without four parts, at least this share of the time must have four notes at once."""

Rows = tuple[list[list[int]], list[list[bool]]]
"""Pitches and onsets, each ``[step][voice]``, as in :class:`appliance.music.score.Score`."""


def read(path: Path) -> Score:
    """Read a user's MIDI or MusicXML file as the beginning of a four-part piece.

    Raises:
        UsageError: there is no such file, it is not a score, or not one in four parts that the
            codec can encode.
    """
    file = score_reader.read(path)
    try:
        score = to_four_parts(file, MAX_STEPS, from_chords=True)
    except UsageError:
        raise
    except BachboxError as why:
        notices = "".join(f" ({notice})" for notice in file.notices)
        message = f"does not fit a model of four voices: {why}{notices}"
        raise UsageError(message, path=path) from why
    low, high = score.pitch_range()
    if low < LOWEST_PITCH or high > HIGHEST_PITCH:
        raise UsageError(
            f"MIDI note {low if low < LOWEST_PITCH else high} is out of the range of "
            f"the four voices ({LOWEST_PITCH} to {HIGHEST_PITCH})",
            path=path,
            remedy="transpose the score",
        )
    return score


def to_four_parts(file: ScoreFile, max_steps: int = 1 << 16, *, from_chords: bool = False) -> Score:
    """A score file as a four-part score, up to ``max_steps`` 16ths of it.

    ``from_chords``: of notation that does not have four parts, take the chords of all parts, as
    it is always done with MIDI.

    Raises:
        BachboxError: it is not in four parts, or its meter is not known; the message says what
            it has instead.
    """
    if file.engraved:
        rows, onsets, form = _from_notation(file, max_steps, from_chords=from_chords)
    else:
        rows, onsets, form = _from_midi(file, max_steps)
    if not any(pitch != SILENT for row in rows for pitch in row):
        raise BachboxError("it has no notes")
    return Score(
        name=file.name,
        pitches=tuple(map(tuple, rows)),
        onsets=tuple(map(tuple, onsets)),
        key=key_of(rows),
        form=form,
        notices=file.notices,
    )


def _from_notation(
    file: ScoreFile, max_steps: int, *, from_chords: bool
) -> tuple[list[list[int]], list[list[bool]], Form]:
    """One part per voice, in the order of the page, or the chords of any number of parts."""
    meters = {*file.time_signatures} or {(4, 4)}
    if not meters <= BAR_STEPS.keys() or len({BAR_STEPS[meter] for meter in meters}) != 1:
        raise BachboxError("its meter is not 4/4, 2/2 or 3/4 throughout")
    bar_steps = BAR_STEPS[meters.pop()]
    steps = min(max_steps, round((file.length_ticks or 0) / TICKS_PER_STEP))
    parts = [_on_grid(part) for part in file.parts]
    if len(parts) != VOICES and not from_chords:
        raise BachboxError(f"it has {len(parts)} parts, but four are needed")
    if len(parts) == VOICES:
        rows, onsets = _rows(parts, steps)
    else:
        try:
            rows, onsets = _rows_from_chords(chain(*parts), steps)
        except BachboxError as why:
            raise BachboxError(f"it has {len(parts)} parts; {why}") from why
    fermatas = set()
    for start_tick, end_tick in file.fermatas:
        start = round(start_tick / TICKS_PER_STEP)
        if start < steps:
            end = max(start + 1, round(end_tick / TICKS_PER_STEP))
            fermatas.add((start, min(steps, end)))
    pickup = round((file.first_bar_ticks or 0) / TICKS_PER_STEP) % bar_steps
    return rows, onsets, Form(bar_steps, pickup, steps, tuple(sorted(fermatas)))


def _from_midi(file: ScoreFile, max_steps: int) -> tuple[list[list[int]], list[list[bool]], Form]:
    """Four parts ordered by their mean pitch, or the chords of any number of parts."""
    meters = {*file.time_signatures}
    if len(meters) > 1 or not meters <= BAR_STEPS.keys():
        named = ", ".join(f"{a}/{b}" for a, b in sorted(meters))
        raise BachboxError(f"its meter is {named}, but it must be 4/4, 2/2 or 3/4 throughout")
    bar_steps = BAR_STEPS[meters.pop()] if meters else 16
    if not file.parts:
        raise BachboxError("it has no notes")
    parts = []
    for part in file.parts:
        beginning = [n for n in _on_grid(part) if n.start < max_steps * TICKS_PER_STEP]
        if not beginning:
            raise BachboxError(f"a part of it is silent for its first {max_steps // 16} bars")
        parts.append(beginning)
    length_ticks = max(note.end for note in chain(*parts))
    steps = min(max_steps, length_ticks // TICKS_PER_STEP)
    if len(parts) == VOICES:
        parts.sort(key=lambda part: -sum(note.pitch for note in part) / len(part))
        rows, onsets = _rows(parts, steps)
    else:
        rows, onsets = _rows_from_chords(chain(*parts), steps)
    pickup = round((file.first_bar_ticks or 0) / TICKS_PER_STEP) % bar_steps
    return rows, onsets, Form(bar_steps, pickup, len(rows))


def _on_grid(notes: Iterable[Note]) -> list[Note]:
    """Notes whose ticks are rounded to the 16th grid, in order of start and pitch."""
    found = []
    for note in sorted(notes, key=lambda n: (n.start, n.end, n.pitch)):
        start = round(note.start / TICKS_PER_STEP)
        end = max(start + 1, round(note.end / TICKS_PER_STEP))
        length = (end - start) * TICKS_PER_STEP
        found.append(note._replace(start=start * TICKS_PER_STEP, length=length))
    return sorted(found, key=lambda n: (n.start, n.pitch))


def _steps_of(note: Note, steps: int) -> range:
    """The 16ths below ``steps`` in which a note on the grid sounds."""
    return range(note.start // TICKS_PER_STEP, min(steps, note.end // TICKS_PER_STEP))


def _rows(parts: Sequence[Iterable[Note]], steps: int) -> Rows:
    """One part per voice, the highest first; of a part's chord the top note is taken."""
    rows = [[SILENT] * VOICES for _ in range(steps)]
    onsets = [[False] * VOICES for _ in range(steps)]
    for voice, part in enumerate(parts):
        for note in part:
            for step in _steps_of(note, steps):
                rows[step][voice] = note.pitch
                onsets[step][voice] = step * TICKS_PER_STEP == note.start
    return rows, onsets


def _rows_from_chords(notes: Iterable[Note], steps: int) -> Rows:
    """Four voices out of chords, from the top down.

    Raises:
        BachboxError: there are too many or too few notes at once.
    """
    sounding: list[list[Note]] = [[] for _ in range(steps)]
    for note in notes:
        for step in _steps_of(note, steps):
            sounding[step].append(note)
    most = max(map(len, sounding), default=0)
    full = sum(len(chord) == VOICES for chord in sounding)
    share = full / max(1, steps)
    if most > VOICES or share < MIN_FULL_SHARE:
        raise BachboxError(
            f"it has up to {most} voices at once and four of them {int(100 * share)} % of the "
            "time; four are needed: one part each, or four-part chords"
        )
    rows, onsets = [], []
    before = [SILENT] * VOICES
    for step, chord in enumerate(sounding):
        row, struck = [SILENT] * VOICES, [False] * VOICES
        for voice, note in _assigned(chord, before):
            row[voice], struck[voice] = note.pitch, note.start == step * TICKS_PER_STEP
        rows.append(row)
        onsets.append(struck)
        before = row
    return rows, onsets


def _assigned(chord: list[Note], before: list[int]) -> list[tuple[int, Note]]:
    """The voice of each note of a chord, so that voices do not cross.

    If voices rest, those that held the same note before keep it. A note goes below the one that
    was assigned before it, and leaves a voice for each note that is still to come.
    """
    found = []
    voice = -1
    for place, note in enumerate(sorted(chord, key=lambda n: -n.pitch)):
        free = range(voice + 1, VOICES - len(chord) + place + 1)
        voice = next((v for v in free if before[v] == note.pitch), free[0])
        found.append((voice, note))
    return found
