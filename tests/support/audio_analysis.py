"""What a recording sounds like: the energy of every semitone over time, and how alike two are."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 48_000
HOP_FRAMES = 2400
"""50 ms: a 16th note at 80 beats a minute is 188 ms."""

_WINDOW_FRAMES = 16384
"""Long enough to tell a semitone apart in the tenor: 2.9 Hz a bin."""

_MAX_LAG_FRAMES = RATE * 3 // 4
"""Whoever is later is not in step at all."""

_PART_FRAMES = RATE // 2
_MEMORY_FRAMES = RATE * 3
"""A browser that was held up is so far behind at most: then it leaves something out."""

_SAME = 0.95
"""Correlation of two waves that are the same sound."""

_SPEEDS = (1.0, 0.998, 1.002)

_QUIET = 5.0
"""Whoever swings less than this, in steps of 16 bits, plays nothing."""

_GAP_FRAMES = RATE // 100
"""Zeros for this long are no part of a note."""

_PITCHES = range(45, 97)
"""MIDI notes looked at: 110 Hz to 2 kHz."""

Picture = NDArray[np.float64]
"""One row a hop, one column a semitone."""


def wav(path: Path) -> NDArray[np.int16]:
    """Both channels as one, also from a file that is being written."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels()) == (RATE, 2)
        return raw(file.readframes(file.getnframes()))


def raw(content: bytes) -> NDArray[np.int16]:
    """Interleaved stereo s16le as one channel."""
    samples = np.frombuffer(content[: len(content) // 4 * 4], "<i2").reshape(-1, 2)
    return np.asarray(samples.mean(axis=1), np.int16)


def sides(content: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Interleaved stereo s16le, left and right."""
    samples = np.frombuffer(content[: len(content) // 4 * 4], "<i2").reshape(-1, 2)
    return samples[:, 0], samples[:, 1]


def lag(before: NDArray[np.int16], after: NDArray[np.int16]) -> tuple[float, float]:
    """How much later ``after`` plays the same as ``before``, in seconds, and how alike they are.

    The likeness is the correlation of the waves themselves: 1 for the very same sound, 0.3 or
    so for other music in the same style. Both are medians over seconds: whoever has fallen behind
    plays up to 0.2 % faster for a while, or leaves something out, and then no one lag is right for
    a longer stretch.
    """
    found = []
    for start in range(0, len(before) - RATE - _MAX_LAG_FRAMES + 1, RATE):
        second = before[start : start + RATE].astype(float)
        heard = after[start : start + RATE + _MAX_LAG_FRAMES].astype(float)
        if second.std() > _QUIET:
            found.append(_best_place(second, heard))
    if not found:
        return 0.0, 0.0
    frames, likeness = np.median(found, axis=0)
    return float(frames) / RATE, float(likeness)


def repeated(before: NDArray[np.int16], after: NDArray[np.int16]) -> tuple[float, float]:
    """How much later ``after`` plays what ``before`` plays, and for how long it does, in seconds.

    Counts the half seconds of ``after`` whose waves are found in the last :data:`_MEMORY_FRAMES` of
    ``before``. What a busy machine leaves out or brings late makes them fewer, not unlike; other
    music in the same style has next to none. The first figure is the median of what was found,
    0 if nothing was.
    """
    lags = []
    for start in range(_MEMORY_FRAMES, len(after) - _PART_FRAMES + 1, _PART_FRAMES):
        part = after[start : start + _PART_FRAMES].astype(float)
        earlier = before[start - _MEMORY_FRAMES : start + _PART_FRAMES].astype(float)
        if part.std() > _QUIET:
            frames, alike = _best_place(part, earlier)
            if alike > _SAME:
                lags.append((_MEMORY_FRAMES - frames) / RATE)
    return (float(np.median(lags)) if lags else 0.0), len(lags) * _PART_FRAMES / RATE


def _faster(sound: NDArray[np.float64], speed: float) -> NDArray[np.float64]:
    return np.interp(np.arange(int(len(sound) / speed)) * speed, np.arange(len(sound)), sound)


def _best_place(part: NDArray[np.float64], whole: NDArray[np.float64]) -> tuple[int, float]:
    """As :func:`_place`, at the speed at which the two are most alike."""
    return max((_place(_faster(part, by), whole) for by in _SPEEDS), key=_likeness)


def _place(part: NDArray[np.float64], whole: NDArray[np.float64]) -> tuple[int, float]:
    """Where in ``whole`` the waves of ``part`` are, in frames, and how alike the two are there."""
    count = len(part)
    part = (part - part.mean()) / part.std()
    size = 1 << (len(whole) + count).bit_length()
    both = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    sums, squares = (np.concatenate([[0.0], np.cumsum(w)]) for w in (whole, whole * whole))
    mean = (sums[count:] - sums[:-count]) / count
    spread = np.sqrt(np.maximum((squares[count:] - squares[:-count]) / count - mean**2, _QUIET**2))
    alike = both[: len(spread)] / spread / count
    frames = int(np.argmax(alike))
    return frames, float(alike[frames])


def _likeness(place: tuple[int, float]) -> float:
    return place[1]


def music(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """From the first sound on."""
    return sound[int(np.argmax(np.abs(sound) > 50)) :]


def without_gaps(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """Only where there is sound: without pauses, and without the zeros that a card plays when a
    busy machine gives it nothing.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[True], sound != 0, [True]]).astype(np.int8)))
    kept = np.ones(len(sound), bool)
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        kept[begin:end] = end - begin < _GAP_FRAMES
    return np.asarray(sound[kept], np.int16)


def picture(sound: NDArray[np.int16]) -> Picture:
    """How loud every semitone is in every hop, in decibels above a floor."""
    window = np.hanning(_WINDOW_FRAMES)
    bins_hz = np.fft.rfftfreq(_WINDOW_FRAMES, 1 / RATE)
    low, high = _PITCHES[0] - 0.5, _PITCHES[-1] + 0.5
    with np.errstate(divide="ignore"):
        semitones = 69 + 12 * np.log2(bins_hz / 440)
    inside = (semitones >= low) & (semitones < high)
    columns = np.floor(semitones[inside] - low).astype(int)
    rows = []
    for start in range(0, len(sound) - _WINDOW_FRAMES, HOP_FRAMES):
        spectrum = np.abs(np.fft.rfft(sound[start : start + _WINDOW_FRAMES] * window))[inside]
        loudest = np.zeros(len(_PITCHES))
        np.maximum.at(loudest, columns, spectrum)
        rows.append(loudest)
    decibels = 20 * np.log10(np.array(rows) + 1)
    return np.asarray(np.maximum(decibels - decibels.max() + 50, 0), np.float64)


def likeness(part: Picture, whole: Picture) -> tuple[float, int]:
    """The best correlation of ``part`` with any stretch of ``whole``, and where that begins."""
    best, place = -1.0, 0
    for start in range(len(whole) - len(part) + 1):
        stretch = whole[start : start + len(part)]
        found = float(np.corrcoef(part.ravel(), stretch.ravel())[0, 1])
        if found > best:
            best, place = found, start
    return best, place


def best_likeness(sound: NDArray[np.int16], whole: Picture, seconds: float = 2.0) -> float:
    """How alike the best stretch of ``sound`` is to any of ``whole``; 0 if silent.

    A busy machine leaves gaps; between them the music is the same or it is not.
    """
    if np.abs(sound.astype(int)).max(initial=0) < 100:
        return 0.0
    own, hops = picture(sound), int(seconds * RATE / HOP_FRAMES)
    return max(
        (likeness(own[start : start + hops], whole)[0] for start in range(0, len(own) - hops, 10)),
        default=0.0,
    )


def silence_seconds(sound: NDArray[np.int16], below: int = 20) -> float:
    """The longest stretch in which nothing is heard."""
    hops = len(sound) // HOP_FRAMES
    loudest = np.abs(sound[: hops * HOP_FRAMES].astype(int)).reshape(hops, HOP_FRAMES).max(axis=1)
    longest = current = 0
    for hop in loudest:
        current = current + 1 if hop < below else 0
        longest = max(longest, current)
    return longest * HOP_FRAMES / RATE
