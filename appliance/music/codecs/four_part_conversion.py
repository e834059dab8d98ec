"""Score files as four-part scores on the 16th grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError, UsageError
from appliance.music.codecs import parts_to_voices
from appliance.music.codecs.parts_to_voices import Voices
from appliance.music.events import TICKS_PER_STEP
from appliance.music.files import score_reader
from appliance.music.files.score_file import ScoreFile
from appliance.music.key_finding import written_key
from appliance.music.notes import Note, is_line
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
_OFF_GRID_TICKS: Final = 20
"""A note further from the grid was not meant to be on it."""
_OTHER_MODELS: Final = "a model in free rhythm, such as keyboard or strings, takes it as it is"


def read(path: Path) -> Score:
    """Read a user's file as the beginning of a four-part piece.

    Raises:
        UsageError: there is no such file, it is not a score, or not one in four parts that the
            codec can encode.
    """
    return four_voices_of(score_reader.read(path))


def four_voices_of(file: ScoreFile) -> Score:
    """A user's file as the beginning of a four-part piece.

    Raises:
        UsageError: it is not in four parts, or the codec cannot encode it.
    """
    try:
        score = to_four_parts(file, MAX_STEPS, from_chords=True)
    except UsageError:
        raise
    except BachboxError as why:
        message = f"does not fit a model of four voices: {why}"
        raise UsageError(message, path=file.path, remedy=_OTHER_MODELS) from why
    low, high = score.pitch_range()
    if low < LOWEST_PITCH or high > HIGHEST_PITCH:
        raise UsageError(
            f"MIDI note {low if low < LOWEST_PITCH else high} is out of the range of "
            f"the four voices ({LOWEST_PITCH} to {HIGHEST_PITCH})",
            path=file.path,
            remedy="transpose the score",
        )
    end = score.steps * TICKS_PER_STEP
    notes = [note for part in file.parts for note in part if note.start < end]
    return replace(score, key=written_key(notes, score.key, file.key_signature))


def to_four_parts(file: ScoreFile, max_steps: int = 1 << 16, *, from_chords: bool = False) -> Score:
    """A score file as a four-part score, up to ``max_steps`` 16ths of it.

    ``from_chords``: of notation that does not have four parts, take the chords of all parts, as
    it is always done with MIDI.

    Raises:
        BachboxError: it is not in four parts, or its meter is not known; the message says what
            it has instead.
    """
    if file.engraved:
        voices, form = _from_notation(file, max_steps, from_chords=from_chords)
    else:
        voices, form = _from_midi(file, max_steps)
    rows, onsets = voices.rows
    if not any(pitch != SILENT for row in rows for pitch in row):
        raise BachboxError("it has no notes")
    return Score(
        name=file.name,
        pitches=tuple(map(tuple, rows)),
        onsets=tuple(map(tuple, onsets)),
        key=key_of(rows),
        form=form,
        notices=(*file.notices, *voices.notices, *_notices(file, form, max_steps)),
    )


def _notices(file: ScoreFile, form: Form, max_steps: int) -> list[str]:
    """What the grid and the limit have changed."""
    notices = []
    moved = sum(
        abs(tick - round(tick / TICKS_PER_STEP) * TICKS_PER_STEP) > _OFF_GRID_TICKS
        for part in file.parts
        for note in part
        for tick in (note.start, note.end)
    )
    if moved:
        notices.append(f"beginnings and ends of notes were moved to the grid of 16ths ({moved})")
    end = max((note.end for part in file.parts for note in part), default=0)
    if form.steps == max_steps < round(end / TICKS_PER_STEP):
        notices.append(f"it is long; its first {max_steps // form.bar_steps} bars were read")
    return notices


def _from_notation(file: ScoreFile, max_steps: int, *, from_chords: bool) -> tuple[Voices, Form]:
    """One part per voice, in the order of the page, or four voices of any number of parts."""
    meters = {*file.time_signatures} or {(4, 4)}
    if not meters <= BAR_STEPS.keys() or len({BAR_STEPS[meter] for meter in meters}) != 1:
        raise BachboxError("its meter is not 4/4, 2/2 or 3/4 throughout")
    bar_steps = BAR_STEPS[meters.pop()]
    steps = min(max_steps, round((file.length_ticks or 0) / TICKS_PER_STEP))
    parts = [_on_grid(part) for part in file.parts]
    if len(parts) != VOICES and not from_chords:
        raise BachboxError(f"it has {len(parts)} parts, but four are needed")
    voices = _voices(parts, file.part_names, steps)
    fermatas = set()
    for start_tick, end_tick in file.fermatas:
        start = round(start_tick / TICKS_PER_STEP)
        if start < steps:
            end = max(start + 1, round(end_tick / TICKS_PER_STEP))
            fermatas.add((start, min(steps, end)))
    pickup = round((file.first_bar_ticks or 0) / TICKS_PER_STEP) % bar_steps
    return voices, Form(bar_steps, pickup, steps, tuple(sorted(fermatas)))


def _from_midi(file: ScoreFile, max_steps: int) -> tuple[Voices, Form]:
    """Four parts ordered by their mean pitch, or four voices of any number of parts."""
    meters = {*file.time_signatures}
    if len(meters) > 1 or not meters <= BAR_STEPS.keys():
        named = ", ".join(f"{a}/{b}" for a, b in sorted(meters))
        raise BachboxError(f"its meter is {named}, but it must be 4/4, 2/2 or 3/4 throughout")
    bar_steps = BAR_STEPS[meters.pop()] if meters else 16
    if not file.parts:
        raise BachboxError("it has no notes")
    end = max_steps * TICKS_PER_STEP
    parts = [[note for note in _on_grid(part) if note.start < end] for part in file.parts]
    silent = sum(not part for part in parts)
    if silent == len(parts):
        raise BachboxError(f"it is silent for its first {max_steps // bar_steps} bars")
    length_ticks = max(note.end for note in chain(*parts))
    steps = min(max_steps, length_ticks // TICKS_PER_STEP)
    late = f"silent for its first {max_steps // bar_steps} bars"
    try:
        voices = _voices(parts, file.part_names, steps, by_pitch=True)
    except BachboxError as why:
        raise BachboxError(f"{why} (parts {late}: {silent})" if silent else str(why)) from why
    if silent:
        notice = f"parts without a note in its first {max_steps // bar_steps} bars were left out"
        voices = voices._replace(notices=[f"{notice} ({silent})", *voices.notices])
    if file.first_bar_ticks is None:
        has_end = all(note.end <= steps * TICKS_PER_STEP for note in chain(*file.parts))
        pickup = parts_to_voices.pickup_of(voices.rows, bar_steps, has_end=has_end)
    else:
        pickup = round(file.first_bar_ticks / TICKS_PER_STEP) % bar_steps
    return voices, Form(bar_steps, pickup, steps)


def _voices(
    parts: Sequence[list[Note]], names: Sequence[str], steps: int, *, by_pitch: bool = False
) -> Voices:
    """Four voices of any number of parts, of which those without notes do not count.

    ``by_pitch``: four parts that are voices are in no order.

    Raises:
        BachboxError: there are too many or too few notes at once.
    """
    padded = [*names, *[""] * len(parts)]
    names = [name for name, part in zip(padded, parts, strict=False) if part]
    parts = [part for part in parts if part]
    if len(parts) == VOICES and all(map(is_line, parts)):
        if by_pitch:
            parts.sort(key=lambda part: -sum(note.pitch for note in part) / len(part))
        return parts_to_voices.from_four_parts(parts, steps)
    if len(parts) > VOICES and (voices := parts_to_voices.from_many_parts(parts, names, steps)):
        return voices
    try:
        return parts_to_voices.from_chords(chain(*parts), steps)
    except BachboxError as why:
        count = f"it has {len(parts)} parts; " if len(parts) > 1 else ""
        raise BachboxError(f"{count}{why}") from why


def _on_grid(notes: Iterable[Note]) -> list[Note]:
    """Notes whose ticks are rounded to the 16th grid, in order of start and pitch."""
    found = []
    for note in sorted(notes, key=lambda n: (n.start, n.end, n.pitch)):
        start = round(note.start / TICKS_PER_STEP)
        end = max(start + 1, round(note.end / TICKS_PER_STEP))
        length = (end - start) * TICKS_PER_STEP
        found.append(note._replace(start=start * TICKS_PER_STEP, length=length))
    return sorted(found, key=lambda n: (n.start, n.pitch))
