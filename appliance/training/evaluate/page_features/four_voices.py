"""Features of four-part writing: the rules that Bach's pupils learned."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.training.evaluate.page_features.calculation import STEP, Features, share
from appliance.training.evaluate.page_features.harmony import CHORDS
from appliance.training.evaluate.pages import GRID, Page, PageNote

NAMES = ("soprano", "alto", "tenor", "bass")

Lines = Sequence[Sequence[PageNote]]


def add_four_voices(found: Features, page: Page, lines: Lines, start: int, end: int) -> None:
    """Add the features of four voices (``lines``, from the soprano down).

    ``start`` and ``end`` are grid positions, see :data:`appliance.training.evaluate.pages.GRID`.
    """
    rows = np.full((-(-(end - start) // STEP), 4), -1)
    for voice, line in enumerate(lines):
        for note in line:
            rows[(note.start - start) // STEP : -(-(note.end - start) // STEP), voice] = note.pitch
    quarters = (end - start) / GRID
    moves = [
        {b.start: (a.pitch, b.pitch) for a, b in pairwise(line) if a.end == b.start}
        for line in lines
    ]
    _add_motion(found, moves, quarters)
    _add_spacing(found, rows)
    for name, line in zip(NAMES, lines, strict=True):
        intervals = [b.pitch - a.pitch for a, b in pairwise(line) if a.end == b.start]
        found[f"voices: {name}, notes a quarter"] = len(line) / quarters
        for label, few, most in (
            ("steps", 1, 2),
            ("repeated notes", 0, 0),
            ("leaps of a fourth and more", 5, 99),
        ):
            here = [i for i in intervals if few <= abs(i) <= most]
            found[f"voices: {name}, {label}"] = share(here, intervals)
        hard = [i for i in intervals if abs(i) in (6, 10, 11) or abs(i) > 12]
        found[f"voices: {name}, tritones, sevenths and beyond the octave"] = share(hard, intervals)
    _add_onsets(found, page, lines, start, end)
    leading = (page.key.tonic + 11) % 12
    rises = [b - a for voice in moves for a, b in voice.values() if a % 12 == leading and a != b]
    found["voices: leading note rises to the tonic"] = share([r for r in rises if r == 1], rises)
    _add_chords(found, page, lines, rows, range(start, end, page.beat), start)
    rests = [a.end for a, b in pairwise(lines[0]) if a.end - a.start >= 2 * GRID or b.start > a.end]
    found["voices: long notes and rests of the soprano in 100 quarters"] = (
        100 * len(rests) / quarters
    )


def _add_motion(
    found: Features, moves: Sequence[dict[int, tuple[int, int]]], quarters: float
) -> None:
    parallel = direct = 0
    for high, low in combinations(range(4), 2):
        for at in moves[high].keys() & moves[low].keys():
            (a, b), (c, d) = moves[high][at], moves[low][at]
            if (b - a) * (d - c) > 0 and (b - d) % 12 in (0, 7):
                if (a - c) % 12 == (b - d) % 12:
                    parallel += 1
                elif (high, low) == (0, 3) and abs(b - a) > 2:
                    direct += 1
    found["voices: parallel fifths and octaves in 100 quarters"] = 100 * parallel / quarters
    found["voices: direct fifths and octaves in 100 quarters"] = 100 * direct / quarters


def _add_spacing(found: Features, rows: NDArray[np.int_]) -> None:
    full = rows[(rows >= 0).all(1)]
    if not len(full):
        return
    found["voices: time crossed"] = float((np.diff(full, axis=1) > 0).any(1).mean())
    for upper, label in ((0, "soprano and alto"), (1, "alto and tenor")):
        wide = full[:, upper] - full[:, upper + 1] > 12
        found[f"voices: time {label} are more than an octave apart"] = float(wide.mean())
    for voice, name in enumerate(NAMES):
        found[f"voices: {name}, mean pitch"] = float(full[:, voice].mean())


def _add_onsets(found: Features, page: Page, lines: Lines, start: int, end: int) -> None:
    onsets = [{note.start for note in line} for line in lines]
    beats = range(start, end, page.beat)
    together = [sum(beat in voice for voice in onsets) for beat in beats]
    between = [sum(beat + page.beat // 2 in voice for voice in onsets) for beat in beats]
    found["voices: beats on which all four strike"] = share(
        [t for t in together if t == 4], together
    )
    found["voices: off-beat 8ths in one voice"] = share([b for b in between if b == 1], between)
    found["voices: off-beat 8ths in two or more voices"] = share(
        [b for b in between if b > 1], between
    )


def _name_chord(pitches: Sequence[int]) -> tuple[str, int | None]:
    """Return kind and root of a chord, its bass last; the root is None where it has no name."""
    classes = sorted({pitch % 12 for pitch in pitches})
    bass = pitches[-1] % 12
    for root in sorted(classes, key=lambda pitch_class: pitch_class != bass):
        above = tuple(sorted((pitch_class - root) % 12 for pitch_class in classes))
        for kind, chord in CHORDS.items():
            without_fifth = tuple(interval for interval in chord if interval != 7)
            if above == chord or (len(chord) == 4 and above == without_fifth):
                return kind, root
    return ("bare" if len(classes) <= 2 else "other"), None


_DISSONANT = (1, 2, 5, 10, 11)
"""Semitones over the bass, modulo 12; a fourth only where it does not belong to the chord."""


def _add_chords(
    found: Features, page: Page, lines: Lines, rows: NDArray[np.int_], beats: range, start: int
) -> None:
    leading = (page.key.tonic + 11) % 12
    onsets = [{note.start for note in line} for line in lines]
    kinds: list[str] = []
    doubled = six_four = dissonant = leapt = suspended = 0
    for beat in beats:
        at = (beat - start) // STEP
        if at >= len(rows) or (rows[at] < 0).any():
            continue
        chord = [int(pitch) for pitch in rows[at]]
        kind, root = _name_chord(chord)
        kinds.append(kind)
        triad = kind in ("major", "minor")
        six_four += triad and root is not None and chord[3] % 12 == (root + 7) % 12
        doubled += sum(pitch % 12 == leading for pitch in chord) > 1
        for voice in range(3):
            interval = (chord[voice] - chord[3]) % 12
            if interval not in _DISSONANT or (interval == 5 and triad):
                continue
            dissonant += 1
            before = int(rows[at - 1, voice]) if at else -1
            held = before == chord[voice]
            after = next((int(p) for p in rows[at + 1 : at + 9, voice] if p != chord[voice]), -1)
            suspended += held and beat not in onsets[voice] and 0 < chord[voice] - after <= 2
            leapt += not held and not (before >= 0 and abs(before - chord[voice]) <= 2)
    count = max(1, len(kinds))
    for kind in (*CHORDS, "bare", "other"):
        found[f"chords on beats: {kind}"] = kinds.count(kind) / count
    found["chords on beats: six-four"] = six_four / count
    found["voices: beats with the leading note doubled"] = doubled / count
    found["voices: suspensions, a beat"] = suspended / count
    found["voices: dissonances with the bass on beats"] = dissonant / count
    found["voices: of these, reached by a leap"] = leapt / max(1, dissonant)
