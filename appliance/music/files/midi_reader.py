"""Standard MIDI files, read by mido."""

from __future__ import annotations

import io
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import mido

from appliance.errors import UsageError
from appliance.music.events import TICKS_PER_BEAT, Event, NoteOff, NoteOn
from appliance.music.files.score_file import ScoreFile
from appliance.music.notes import Note, notes_from

SUFFIXES: Final = (".mid", ".midi")
DRUM_CHANNEL: Final = 9
"""Channel 10 of General MIDI, counted from 0."""


def read(path: Path) -> ScoreFile:
    """Read the notes of a MIDI file, one part per track and channel, without drums.

    Raises:
        UsageError: it is not a MIDI file.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    try:
        return _score_file(mido.MidiFile(file=io.BytesIO(content), clip=True), path.stem)
    except Exception as why:  # mido raises whatever it meets in garbage, an OSError too
        raise UsageError(
            f"not a MIDI file that can be read ({first_line(why)})", path=path
        ) from why


def first_line(error: Exception) -> str:
    """The first line of a library's error, or a general reason if it has none."""
    return next(iter(str(error).strip().splitlines()), "") or "it ends too early or is garbled"


def _score_file(file: mido.MidiFile, name: str) -> ScoreFile:
    if file.ticks_per_beat <= 0:
        raise ValueError("no ticks in a beat")
    scale = TICKS_PER_BEAT / file.ticks_per_beat
    time_signatures: list[tuple[int, int]] = []
    parts: list[tuple[Note, ...]] = []
    for track in file.tracks:
        events: list[Event] = []
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "time_signature":
                time_signatures.append((message.numerator, message.denominator))
            if message.type in ("note_on", "note_off") and message.channel != DRUM_CHANNEL:
                events.append(_event(message, tick))
        channels: dict[int, list[Note]] = defaultdict(list)
        for note in notes_from(events):
            channels[note.voice].append(_scaled(note, scale))
        for notes in channels.values():
            parts.append(tuple(note._replace(voice=len(parts)) for note in notes))
    return ScoreFile(name, tuple(parts), tuple(time_signatures))


def _event(message: Any, tick: int) -> Event:
    """A note message of mido as an event, with the channel as its voice."""
    if message.type == "note_on" and message.velocity:
        return NoteOn(tick, message.channel, message.note, message.velocity)
    return NoteOff(tick, message.channel, message.note)


def _scaled(note: Note, scale: float) -> Note:
    """A note in ticks of :data:`TICKS_PER_BEAT`; a length above 0 does not become 0."""
    length = max(1, round(note.length * scale)) if note.length > 0 else 0
    return note._replace(start=round(note.start * scale), length=length)
