"""Folders of little scores to learn from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import mido
import numpy as np

MAJOR = (0, 2, 4, 5, 7, 9, 11, 12)


def midi(path: Path, seed: int, notes: int = 120, tempo_bpm: int = 72, program: int = 40) -> Path:
    """A walk up and down a scale, different for every seed."""
    rng = np.random.default_rng(seed)
    file = mido.MidiFile(ticks_per_beat=480)
    track = mido.MidiTrack()
    file.tracks.append(track)
    track.append(mido.MetaMessage("time_signature", numerator=3, denominator=4, time=0))
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo_bpm), time=0))
    track.append(mido.Message("program_change", program=program, time=0))
    degree = 0
    for _ in range(notes):
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, len(MAJOR) - 1))
        track.append(mido.Message("note_on", note=60 + MAJOR[degree], velocity=80, time=0))
        length = int(rng.choice([240, 480]))
        track.append(mido.Message("note_off", note=60 + MAJOR[degree], velocity=0, time=length))
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def melody(pitches: Sequence[int], meter: tuple[int, int] = (4, 4)) -> bytes:
    """A MIDI file with a melody in quarters."""
    track = mido.MidiTrack()
    over, under = meter
    track.append(mido.MetaMessage("time_signature", numerator=over, denominator=under, time=0))
    for pitch in pitches:
        track.append(mido.Message("note_on", note=pitch, velocity=80, time=0))
        track.append(mido.Message("note_off", note=pitch, velocity=0, time=480))
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(track)
    content = io.BytesIO()
    file.save(file=content)
    return content.getvalue()


def folder(path: Path, pieces: int = 6) -> Path:
    """So many different pieces."""
    for seed in range(pieces):
        midi(path / f"piece-{seed}.mid", seed)
    return path


def tune(seed: int, title: str = "") -> str:
    """A reel of eight bars and a repeat."""
    rng = np.random.default_rng(seed)
    bars = ["".join(rng.choice([*"CDEFGABcde"], 8)) for _ in range(8)]
    text = f"X:{seed}\nT:{title or f'Reel {seed}'}\nM:4/4\nL:1/8\nK:C\n"
    return f"{text}|:{'|'.join(bars)}:|\n\n"
