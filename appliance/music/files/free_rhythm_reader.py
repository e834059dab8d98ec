"""A score file (MIDI or MusicXML) as notes in free rhythm."""

from __future__ import annotations

import io
import statistics
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import mido

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.music.files.four_part_reader import (
    MAX_FILE_BYTES,
    MIDI_SUFFIXES,
    MUSICXML_SUFFIXES,
    musicxml,
    said,
)
from appliance.music.score import Form, FreeRhythmScore, Key, Note

GRID_TICKS = 10
"""A third of a 64th: everything that is engraved lies on it."""
PROFILES = {
    False: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    True: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}
"""How well each degree fits its key. Source: Krumhansl and Kessler 1982."""
LAST_NOTE_WEIGHT = 0.15
"""Pieces close on their tonic: so much of the whole counts for the last bass note."""
DRUMS = 9


def read(path: Path) -> FreeRhythmScore:
    """The notes of a file.

    Raises:
        UsageError: no such file, or not a score.
    """
    suffix = path.suffix.lower()
    if suffix not in MIDI_SUFFIXES + MUSICXML_SUFFIXES:
        known = " ".join(MIDI_SUFFIXES + MUSICXML_SUFFIXES)
        raise UsageError(f"{path}: cannot read a {suffix or 'nameless'} file; known: {known}")
    try:
        if not path.is_file():
            raise UsageError(f"{path}: no such file, so no score")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path}: larger than 16 MiB, which no score of ours needs")
        return _midi(path) if suffix in MIDI_SUFFIXES else musicxml(path, from_music21)
    except OSError as why:
        raise UsageError(f"{path}: cannot read the score: {why.strerror or why}") from why


def score(
    name: str,
    notes: Iterable[Note],
    metre: tuple[int, int],
    pickup_steps: int | None = None,
    key: Key | None = None,
) -> FreeRhythmScore:
    """Notes in order, without doubles, in the form that they fill.

    Args:
        name: of the piece.
        notes: in any order.
        metre: bar and beat in 16th steps.
        pickup_steps: found out where it is not given.
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
        raise UsageError(f"{name}: it holds no notes")
    ordered = sorted(longest.items(), key=lambda item: (item[0][0], -item[0][1]))
    whole = tuple(Note(start, length, pitch) for (start, pitch), length in ordered)
    bar, beat = metre
    if pickup_steps is None:
        pickup_steps = pickup_of(whole, bar)
    steps = -(-max(note.start + note.length for note in whole) // TICKS_PER_STEP)
    return FreeRhythmScore(
        name, whole, key or key_of(whole), Form(bar, pickup_steps, steps, (), beat)
    )


def metre_of(numerator: int, denominator: int) -> tuple[int, int]:
    """Bar and beat of a time signature, in 16th steps; common time for what has none."""
    bar = numerator * 16 // denominator
    if bar * denominator != numerator * 16 or not 4 <= bar <= 64:
        return (16, 4)
    if denominator >= 8 and numerator % 3 == 0 and numerator > 3:
        return (bar, max(1, 3 * 16 // denominator))
    return (bar, max(1, 16 // denominator)) if denominator >= 8 else (bar, 4 if bar % 4 == 0 else 1)


def pickup_of(notes: tuple[Note, ...], bar_steps: int) -> int:
    """The 16th steps before the first bar: long notes tend to begin where a bar does."""

    def weight(pickup: int) -> float:
        at = (pickup * TICKS_PER_STEP, bar_steps * TICKS_PER_STEP)
        struck = (n for n in notes if (n.start - at[0]) % at[1] == 0)
        return float(sum(min(n.length, TICKS_PER_BEAT) for n in struck))

    best = max(range(0, bar_steps, 2), key=weight)
    return best if weight(best) > 1.3 * weight(0) else 0


def key_of(notes: tuple[Note, ...]) -> Key:
    """The key of a whole piece, by the weight of its notes and its last bass note."""
    weights = [0.0] * 12
    for note in notes:
        weights[note.pitch % 12] += min(note.length, 2 * TICKS_PER_BEAT)
    end = max(note.start + note.length for note in notes)
    last = min(note.pitch for note in notes if note.start + note.length == end) % 12
    weights[last] += LAST_NOTE_WEIGHT * sum(weights)

    def fit(key: Key) -> float:
        heard = [weights[(key.tonic + n) % 12] for n in range(12)]
        return statistics.correlation(heard, PROFILES[key.minor])

    return max((Key(tonic, minor) for tonic in range(12) for minor in (False, True)), key=fit)


def _midi(path: Path) -> FreeRhythmScore:
    content = path.read_bytes()
    try:
        file = mido.MidiFile(file=io.BytesIO(content), clip=True)
        return _from_midi(path, file)
    except UsageError:
        raise
    except Exception as why:  # mido raises whatever its readers meet
        raise UsageError(f"{path}: not a MIDI file that can be read ({said(why)})") from why


def _from_midi(path: Path, file: Any) -> FreeRhythmScore:
    scale = TICKS_PER_BEAT / file.ticks_per_beat
    notes: list[Note] = []
    metre = (16, 4)
    named = False
    for track in file.tracks:
        tick = 0
        begun: dict[tuple[int, int], int] = {}
        for message in track:
            tick += message.time
            if message.type == "time_signature" and not named:
                metre, named = metre_of(message.numerator, message.denominator), True
            if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
                continue
            at = (message.channel, message.note)
            start = begun.pop(at, None)
            if start is not None and tick > start:
                notes.append(Note(round(start * scale), round((tick - start) * scale), at[1]))
            if message.type == "note_on" and message.velocity:
                begun[at] = tick
    return score(path.stem, notes, metre)


def from_music21(stream: Any, name: str) -> FreeRhythmScore:
    """Every note of a music21 score.

    Raises:
        UsageError: it has none.
    """
    notes = [
        Note(
            round(float(element.offset) * TICKS_PER_BEAT),
            round(float(element.quarterLength) * TICKS_PER_BEAT),
            pitch.midi,
        )
        for part in stream.parts
        for element in part.stripTies().flatten().notes
        if element.quarterLength
        for pitch in element.pitches
    ]
    signature = next(iter(stream.recurse().getElementsByClass("TimeSignature")), None)
    metre = metre_of(signature.numerator, signature.denominator) if signature else (16, 4)
    first = stream.parts[0].getElementsByClass("Measure").first() if stream.parts else None
    pickup = None if first is None else round(float(first.duration.quarterLength) * 4) % metre[0]
    return score(name, notes, metre, pickup)
