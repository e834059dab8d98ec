"""What a recording sounds like, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def stereo(raw: bytes) -> NDArray[np.int16]:
    """Frames by two channels."""
    return np.frombuffer(raw, dtype="<i2").reshape(-1, 2)


def frequency_hz(sound: NDArray[Any], rate: int) -> float:
    """The fundamental: the lowest strong peak of the spectrum."""
    mono = sound.astype(float).sum(axis=1)
    size = 4 * len(mono)
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), size))
    strong = np.flatnonzero(power > power.max() / 4)
    first = int(strong[0])
    end = first + max(3, int(first * 0.03))
    return float((first + power[first:end].argmax()) * rate / size)


def active_seconds(sound: NDArray[Any], rate: int, threshold: int = 50) -> float:
    """How long it was louder than ``threshold``, in steps of 10 ms."""
    step = rate // 100
    mono = np.abs(sound.astype(int)).max(axis=1)
    steps = mono[: len(mono) // step * step].reshape(-1, step).max(axis=1)
    return float((steps > threshold).sum() / 100)
