"""Melodies that are to be harmonised: one voice on the grid of 16ths, with key, meter and phrases.

A melody is kept as it is. What cannot be kept (chords, notes shorter than a 16th) is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, NoReturn

from appliance.errors import UsageError
from appliance.music.codecs import parts_to_voices
from appliance.music.events import TICKS_PER_STEP
from appliance.music.files.score_file import ScoreFile
from appliance.music.key_finding import KEYS, key_fit, pitch_class_weights, written_key
from appliance.music.notes import Note
from appliance.music.score import SILENT, Form, Key, PieceFacts

MAX_STEPS: Final = 1024
"""The longest melody in 16ths: 64 bars of 4/4."""
BAR_STEPS: Final = {(4, 4): 16, (2, 2): 16, (2, 4): 16, (3, 4): 12}
"""Length of a bar of the harmonised piece, by the time signature of the melody."""
LONG_STEPS: Final = 8
"""A note of a half or longer may end a phrase."""
_OFF_GRID_TICKS: Final = 20
"""A note further from the grid was not meant to be on it."""
_TONIC_AT_END: Final = (0.3, 0.0, 0.0, 0.05, 0.1, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0)
"""By its degree, how much a last note speaks for a key, beside the fit of all notes."""


@dataclass(frozen=True)
class Melody:
    """One voice, an item for each 16th.

    Attributes:
        pitches: MIDI notes, ``SILENT`` where it rests.
        onsets: whether a note is struck, as in :class:`appliance.music.score.Score`.
        key: of the melody.
        form: its meter and length; its fermatas are the ends of phrases.
        notices: what was left out or interpreted, in words for the user.
    """

    pitches: tuple[int, ...]
    onsets: tuple[bool, ...]
    key: Key
    form: Form
    notices: tuple[str, ...] = ()


def melody_of(file: ScoreFile, lowest: int, highest: int) -> Melody:
    """The melody in a score: its only part, or the highest.

    It begins with its first note and ends with its last. If it is too low or too high it is
    transposed: by octaves where that is enough, by as little as possible otherwise.

    Args:
        file: the score. For notes that are played, one of its parts, with their meter.
        lowest: MIDI note below which it must not go.
        highest: MIDI note above which it must not go.

    Raises:
        UsageError: there is no melody in it, or none that can be kept as it is.
    """
    part, notices = _highest_part(file)
    bar_steps = _bar_steps(file)
    notes = _line(file, part)
    first, end = notes[0].step, notes[-1].end
    steps = end - first
    if steps > MAX_STEPS:
        _refuse(
            file,
            f"the melody is {-(-steps // bar_steps)} bars long, and at most "
            f"{MAX_STEPS // bar_steps} can be harmonised",
            "cut it into shorter ones",
        )
    notices += _grid_notices(part)
    shift = _shift(file, notes, lowest, highest)
    if shift:
        notices.append(f"the melody was {_moved(shift)} into the range of a soprano")
    pitches, onsets = [SILENT] * steps, [False] * steps
    for note in notes:
        onsets[note.step - first] = True
        for step in range(note.step - first, note.end - first):
            pitches[step] = note.pitch + shift
    key = _key(file, part).transposed(shift)
    form = Form(
        bar_steps,
        _pickup_steps(file, first, bar_steps, pitches, onsets),
        steps,
        _fermatas(file, notes),
        facts=PieceFacts(kind="chorale", tonic=key.tonic, minor=key.minor),
    )
    return Melody(tuple(pitches), tuple(onsets), key, form, (*file.notices, *notices))


class _GridNote(NamedTuple):
    """A note in 16ths since the file began."""

    step: int
    end: int
    pitch: int


def _refuse(file: ScoreFile, message: str, remedy: str) -> NoReturn:
    raise UsageError(message, path=file.path, remedy=remedy)


def _highest_part(file: ScoreFile) -> tuple[list[Note], list[str]]:
    """The notes of the part that is the melody, in order, and what to say about the choice."""
    parts = [sorted(part, key=lambda n: (n.start, -n.pitch)) for part in file.parts if part]
    if not parts:
        _refuse(file, "there are no notes in it", "choose a file with a melody")
    if len(parts) == 1:
        return parts[0], []
    # The parts of a page are in order; tracks of MIDI are in any.
    top = parts[0]
    if not file.engraved:
        top = max(parts, key=lambda part: sum(note.pitch for note in part) / len(part))
    return top, [f"of {len(parts)} parts the highest was taken as the melody"]


def _bar_steps(file: ScoreFile) -> int:
    meters = dict.fromkeys(file.time_signatures) or {(4, 4): None}
    lengths = {BAR_STEPS.get(meter) for meter in meters}
    bar_steps = lengths.pop()
    if lengths or bar_steps is None:
        named = " and ".join(f"{over}/{under}" for over, under in meters)
        _refuse(
            file,
            f"its meter is {named}, but chorales are in 4/4, 2/2, 2/4 or 3/4 throughout",
            "write it in one of these",
        )
    return bar_steps


def _line(file: ScoreFile, part: Sequence[Note]) -> list[_GridNote]:
    """The notes on the grid, one at a time.

    A note that is held a little into the next one ends with it.
    """
    found: list[_GridNote] = []
    for note in part:
        step = round(note.start / TICKS_PER_STEP)
        end = max(step + 1, round(note.end / TICKS_PER_STEP))
        before = found[-1] if found else None
        if before is not None and before.step == step and before.pitch == note.pitch:
            continue
        if before is not None and before.end > step:
            bar = _bar(file, step)
            if before.step == step and not _together(part, note):
                _refuse(
                    file,
                    f"in bar {bar} it has notes shorter than a 16th, which cannot be kept",
                    "leave out ornaments, or write it in notes twice as long",
                )
            if before.step == step or before.end > step + 1:
                _refuse(
                    file,
                    f"in bar {bar} it has two notes at once, and a melody has one at a time",
                    "leave the melody alone in the file, or in a part of its own at the top",
                )
            found[-1] = before._replace(end=step)
        found.append(_GridNote(step, end, note.pitch))
    return found


def _bar(file: ScoreFile, step: int) -> int:
    """The number of a bar as it is written, a pickup being bar 0."""
    over, under = next(iter(file.time_signatures), (4, 4))
    bar = 16 * over // under
    pickup = round((file.first_bar_ticks or 0) / TICKS_PER_STEP) % bar
    return (step - pickup) // bar + 1


def _together(part: Sequence[Note], note: Note) -> bool:
    """Whether another note begins with this one."""
    return any(
        other is not note and abs(other.start - note.start) <= _OFF_GRID_TICKS for other in part
    )


def _grid_notices(part: Sequence[Note]) -> list[str]:
    moved = sum(
        abs(tick - round(tick / TICKS_PER_STEP) * TICKS_PER_STEP) > _OFF_GRID_TICKS
        for note in part
        for tick in (note.start, note.end)
    )
    if not moved:
        return []
    return [f"beginnings and ends of notes were moved to the grid of 16ths ({moved})"]


def _shift(file: ScoreFile, notes: Sequence[_GridNote], lowest: int, highest: int) -> int:
    """By how many semitones the melody must be moved: by octaves if they are enough."""
    pitches = [note.pitch for note in notes]
    low, high = min(pitches), max(pitches)
    fitting = range(lowest - low, highest - high + 1)
    if not fitting:
        _refuse(
            file,
            f"the melody spans {high - low} semitones, and a soprano sings at most "
            f"{highest - lowest}",
            "move its lowest notes up an octave, or its highest down",
        )
    return min(fitting, key=lambda shift: (shift % 12 != 0, abs(shift)))


def _moved(shift: int) -> str:
    """A transposition in words."""
    size, direction = abs(shift), "up" if shift > 0 else "down"
    count, unit = (size // 12, "octave") if size % 12 == 0 else (size, "semitone")
    return f"transposed {direction} by {count} {unit}" + "s" * (count > 1)


def _key(file: ScoreFile, part: Sequence[Note]) -> Key:
    """The key that is written, or the one that the notes and the last of them fit best."""
    weights = pitch_class_weights(part)
    last = part[-1].pitch
    if len({*weights}) == 1:
        return Key(last % 12, minor=False)
    found = max(
        KEYS, key=lambda key: key_fit(weights, key) + _TONIC_AT_END[(last - key.tonic) % 12]
    )
    return written_key(part, found, file.key_signature)


def _pickup_steps(
    file: ScoreFile, first: int, bar_steps: int, pitches: Sequence[int], onsets: Sequence[bool]
) -> int:
    """16ths before the first full bar; where nothing says so, what the long notes suggest."""
    if file.first_bar_ticks is not None:
        return (round(file.first_bar_ticks / TICKS_PER_STEP) - first) % bar_steps
    if first:
        return -first % bar_steps
    return parts_to_voices.pickup_of(([[p] for p in pitches], [[o] for o in onsets]), bar_steps)


def _fermatas(file: ScoreFile, notes: Sequence[_GridNote]) -> tuple[tuple[int, int], ...]:
    """Where phrases come to rest, in 16ths since the melody began.

    If nothing is written: on notes before a rest, on notes that are long and longer than those
    around them, and on the last note.
    """
    first = notes[0].step
    written = {round(start / TICKS_PER_STEP) for start, _ in file.fermatas}
    ends = [note for note in notes if note.step in written]
    if not ends:
        lengths = sorted(note.end - note.step for note in notes)
        long = max(LONG_STEPS, 2 * lengths[len(lengths) // 2])
        ends = [
            note
            for note, after in pairwise(notes)
            if after.step - note.step >= long and after.end - after.step < after.step - note.step
        ]
    if not ends or ends[-1] is not notes[-1]:
        ends.append(notes[-1])
    return tuple((note.step - first, note.end - first) for note in ends)
