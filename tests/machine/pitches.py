"""Do the pitches of a score sound in a recording?"""

from __future__ import annotations

from pathlib import Path

import mido
import numpy as np
from numpy.typing import NDArray

from tests.support import audio_analysis

Weights = NDArray[np.float64]
"""For every semitone from MIDI note 45 on how much of it there is."""

_LOWEST, _COUNT = 45, 52

_HEADER_BYTES = 44
_AUDIBLE = 300
"""Of 32767: -40 dB."""


def sounds(path: Path) -> bool:
    """Whether a WAV that is still being written has more than silence in it."""
    if not path.exists() or path.stat().st_size <= _HEADER_BYTES:
        return False
    samples = np.fromfile(path, "<i2", offset=_HEADER_BYTES)
    return bool(samples.size and np.abs(samples.astype(np.int32)).max() > _AUDIBLE)


def of_score(path: Path, seconds: float) -> Weights:
    """How long each pitch sounds in a MIDI file's first ``seconds``."""
    weights = np.zeros(_COUNT)
    sounding: dict[int, float] = {}
    now = 0.0
    for message in mido.MidiFile(path):
        now += message.time
        if now > seconds:
            break
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = now
        elif message.type in ("note_on", "note_off") and message.note in sounding:
            weights[message.note - _LOWEST] += now - sounding.pop(message.note)
    return weights


def of_recording(path: Path) -> Weights:
    """How loud each semitone is in a WAV file, on average over its music."""
    picture = audio_analysis.picture(audio_analysis.music(audio_analysis.wav(path)))
    return np.asarray((10 ** (picture / 20) - 1).mean(axis=0), np.float64)


def likeness(recording: Weights, score: Weights) -> tuple[float, int]:
    """Their correlation, and by how many semitones the score has to be moved to be likest."""
    moved = {
        steps: float(np.corrcoef(recording, np.roll(score, steps))[0, 1]) for steps in range(-6, 7)
    }
    return moved[0], max(moved, key=lambda steps: moved[steps])
