"""A person's score file (MIDI or MusicXML) as a four-voice score on the 16th grid."""

from __future__ import annotations

import io
import warnings
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import mido

from appliance.errors import BachboxError, UsageError
from appliance.music.score import HIGHEST, LOWEST, SILENT, VOICES, Form, Score, key_of

T = TypeVar("T")

MIDI_SUFFIXES = (".mid", ".midi")
MUSICXML_SUFFIXES = (".musicxml", ".mxl", ".xml")
MAX_FILE_BYTES = 16 << 20
MAX_STEPS = 512
"""Of a longer file only so many 16ths are taken: the rest is ours to write."""
BARS = {(4, 4): 16, (2, 2): 16, (3, 4): 12}
FULL_SHARE = 0.75
"""So much of a file without four parts must sound in four voices."""


class Note(NamedTuple):
    """A note on the grid: half-open span of steps."""

    start: int
    end: int
    pitch: int


def read(path: Path) -> Score:
    """The score in a file, fit to be gone on with in four voices.

    Raises:
        UsageError: no such file, not a score, or none that the model could go on with.
    """
    suffix = path.suffix.lower()
    if suffix not in MIDI_SUFFIXES + MUSICXML_SUFFIXES:
        known = " ".join(MIDI_SUFFIXES + MUSICXML_SUFFIXES)
        raise UsageError(f"{path}: cannot start from a {suffix or 'nameless'} file; known: {known}")
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path}: not a file, so no score")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path}: larger than 16 MiB, which no score of ours needs")
        score = _midi(path) if suffix in MIDI_SUFFIXES else musicxml(path, _beginning)
    except OSError as why:
        raise UsageError(f"{path}: cannot read the score: {why.strerror or why}") from why
    except UsageError:
        raise
    except BachboxError as why:
        raise UsageError(f"{path}: does not fit a model of four voices: {why}") from why
    low, high = score.range()
    if low < LOWEST or high > HIGHEST:
        raise UsageError(
            f"{path}: MIDI note {low if low < LOWEST else high} is out of the range of "
            f"the four voices ({LOWEST} to {HIGHEST}); transpose the score"
        )
    return score


def _midi(path: Path) -> Score:
    """A score from a standard MIDI file."""
    content = path.read_bytes()
    try:
        parts, metres, ticks_per_step = _notes(mido.MidiFile(file=io.BytesIO(content), clip=True))
    except Exception as why:  # mido raises whatever its readers meet, an OSError too
        raise UsageError(f"{path}: not a MIDI file that can be read ({said(why)})") from why
    if len(metres) > 1 or not metres <= BARS.keys():
        named = ", ".join(f"{a}/{b}" for a, b in sorted(metres))
        raise BachboxError(f"its metre is {named}, it must be 4/4, 2/2 or 3/4 throughout")
    bar_steps = BARS[metres.pop()] if metres else 16
    voiced = {key: notes for key, notes in parts.items() if notes}
    if not voiced:
        raise BachboxError("it holds no notes")
    grid = {key: _on_grid(notes, ticks_per_step) for key, notes in voiced.items()}
    if len(grid) == VOICES:
        ordered = sorted(grid.values(), key=lambda part: -sum(n.pitch for n in part) / len(part))
        rows, onsets = _from_parts(ordered)
    else:
        rows, onsets = _from_chords([note for part in grid.values() for note in part])
    return _score(path.stem, rows, onsets, Form(bar_steps, 0, len(rows)))


def _notes(
    file: Any,
) -> tuple[dict[tuple[int, int], list[tuple[int, int, int]]], set[tuple[int, int]], float]:
    """Notes ``(start, end, pitch)`` in ticks by track and channel, the metres, the grid."""
    if file.ticks_per_beat <= 0:
        raise ValueError("no ticks in a beat")
    parts: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
    metres = set()
    for number, track in enumerate(file.tracks):
        tick = 0
        open_notes: dict[tuple[int, int], int] = {}
        for message in track:
            tick += message.time
            if message.type == "time_signature":
                metres.add((message.numerator, message.denominator))
            if message.type not in ("note_on", "note_off") or message.channel == 9:
                continue
            started = open_notes.pop((message.channel, message.note), None)
            if started is not None:
                parts[number, message.channel].append((started, tick, message.note))
            if message.type == "note_on" and message.velocity:
                open_notes[message.channel, message.note] = tick
    return parts, metres, file.ticks_per_beat / 4


def _on_grid(notes: list[tuple[int, int, int]], ticks_per_step: float) -> list[Note]:
    found = []
    for start, end, pitch in sorted(notes):
        first = round(start / ticks_per_step)
        if first < MAX_STEPS:
            found.append(Note(first, max(first + 1, round(end / ticks_per_step)), pitch))
    if not found:
        raise BachboxError(f"a part of it is silent for its first {MAX_STEPS // 16} bars")
    return found


def _from_parts(parts: list[list[Note]]) -> tuple[list[list[int]], list[list[bool]]]:
    """One part a voice, the highest first; where a part has a chord its top note counts."""
    steps = min(MAX_STEPS, max(note.end for part in parts for note in part))
    rows = [[SILENT] * VOICES for _ in range(steps)]
    onsets = [[False] * VOICES for _ in range(steps)]
    for voice, part in enumerate(parts):
        for note in sorted(part, key=lambda n: (n.start, n.pitch)):
            for step in range(note.start, min(note.end, steps)):
                rows[step][voice] = note.pitch
                onsets[step][voice] = step == note.start
    return rows, onsets


def _from_chords(notes: list[Note]) -> tuple[list[list[int]], list[list[bool]]]:
    """Four voices out of one part's chords, from the top down."""
    steps = min(MAX_STEPS, max(note.end for note in notes))
    sounding: list[list[Note]] = [[] for _ in range(steps)]
    for note in notes:
        for step in range(note.start, min(note.end, steps)):
            sounding[step].append(note)
    most = max(len(chord) for chord in sounding)
    full = sum(len(chord) == VOICES for chord in sounding)
    if most > VOICES or full < FULL_SHARE * steps:
        raise BachboxError(
            f"it has up to {most} voices at once and four of them {100 * full // steps} % of the "
            "time; needed are four: one part each, or four-part chords"
        )
    rows, onsets = [], []
    before = [SILENT] * VOICES
    for step, chord in enumerate(sounding):
        ordered = sorted(chord, key=lambda n: -n.pitch)
        row, struck = [SILENT] * VOICES, [False] * VOICES
        voice = -1
        for place, note in enumerate(ordered):
            # With voices resting, the ones that held the same note before keep it; below the
            # one just given, and with one left for each note that is still to come.
            free = range(voice + 1, VOICES - len(ordered) + place + 1)
            voice = next((v for v in free if before[v] == note.pitch), free[0])
            row[voice], struck[voice] = note.pitch, note.start == step
        rows.append(row)
        onsets.append(struck)
        before = row
    return rows, onsets


def musicxml(path: Path, score_of: Callable[[Any, str], T]) -> T:
    """What ``score_of`` makes of a music21 score and its name, read from MusicXML.

    Raises:
        UsageError: music21 is missing, or cannot read it.
        BachboxError: what ``score_of`` says.
    """
    try:
        from music21 import converter
    except ImportError as why:
        raise UsageError(
            f"{path}: to read MusicXML, music21 is needed: pip install 'bachbox[scores]' "
            "(a MIDI file needs nothing more)"
        ) from why
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return score_of(converter.parse(path, forceSource=True), path.stem)
    except BachboxError:
        raise
    except Exception as why:  # music21 raises whatever its XML reader meets
        raise UsageError(f"{path}: not a MusicXML file that can be read ({said(why)})") from why


def _beginning(stream: Any, name: str) -> Score:
    return from_music21(stream, name, MAX_STEPS)


def said(why: Exception) -> str:
    """The first line of what a library says, which may be nothing."""
    return next(iter(str(why).strip().splitlines()), "") or "it ends too early or is garbled"


def from_music21(stream: Any, name: str, most_steps: int = 1 << 16) -> Score:
    """A music21 score of four single voices as a :class:`Score`, up to ``most_steps``.

    Raises:
        BachboxError: it is not one; the sentence says what it has instead.
    """
    parts = list(getattr(stream, "parts", []))
    if len(parts) != VOICES:
        raise BachboxError(f"it has {len(parts)} parts, needed are four")
    metres = {
        (t.numerator, t.denominator) for t in parts[0].recurse().getElementsByClass("TimeSignature")
    } or {(4, 4)}
    if not metres <= BARS.keys() or len({BARS[metre] for metre in metres}) != 1:
        raise BachboxError("its metre is not 4/4, 2/2 or 3/4 throughout")
    bar_steps = BARS[metres.pop()]
    steps = round(float(max(part.duration.quarterLength for part in parts)) * 4)
    steps = min(steps, most_steps)
    rows = [[SILENT] * VOICES for _ in range(steps)]
    onsets = [[False] * VOICES for _ in range(steps)]
    fermatas: set[tuple[int, int]] = set()
    for voice, part in enumerate(parts):
        for note in part.stripTies().flatten().notes:
            if not note.quarterLength or not note.pitches:
                continue
            begin = round(float(note.offset) * 4)
            if begin >= steps:
                continue
            end = min(steps, max(begin + 1, round(float(note.offset + note.quarterLength) * 4)))
            for step in range(begin, end):
                rows[step][voice] = max(p.midi for p in note.pitches)
                onsets[step][voice] = step == begin
            if voice == 0 and any("Fermata" in e.classes for e in note.expressions):
                fermatas.add((begin, end))
    first = parts[0].getElementsByClass("Measure").first()
    pickup = 0 if first is None else round(float(first.duration.quarterLength) * 4) % bar_steps
    return _score(name, rows, onsets, Form(bar_steps, pickup, steps, tuple(sorted(fermatas))))


def _score(name: str, rows: list[list[int]], onsets: list[list[bool]], form: Form) -> Score:
    if not any(pitch != SILENT for row in rows for pitch in row):
        raise BachboxError("it holds no notes")
    return Score(
        name=name,
        pitches=tuple(map(tuple, rows)),
        onsets=tuple(map(tuple, onsets)),
        key=key_of(rows),
        form=form,
    )
