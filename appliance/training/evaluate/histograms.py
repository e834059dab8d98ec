"""What a piece is made of, counted: the features of 'Bach or Mock', and the same for lines.

Source: Fang, Liu, Seetharaman and Pardo 2020, "Bach or Mock? A Grading Function for Chorales in
the Style of J. S. Bach". Where the paper reads a score as it is spelled, here are semitones: an
augmented second and a minor third are one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations, pairwise
from typing import Final

from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_STEP
from appliance.music.score import VOICES, Key
from appliance.training.evaluate.finished_pieces import Heard, Note

Histogram = Counter[Hashable]

REST = "rest"
OTHER = "other"
PARALLELS, REPEATS = "parallels", "repeats"
OF_BOTH_MODES = ("rhythm", "onsets", PARALLELS, REPEATS)
"""Features that do not depend on whether a piece is in major or minor."""
CHORDS: Final = {
    (0, 4, 7): "major",
    (0, 3, 7): "minor",
    (0, 3, 6): "diminished",
    (0, 4, 8): "augmented",
    (0, 4, 7, 10): "dominant seventh",
    (0, 4, 7, 11): "major seventh",
    (0, 3, 7, 10): "minor seventh",
    (0, 3, 7, 11): "minor major seventh",
    (0, 3, 6, 10): "half-diminished",
    (0, 3, 6, 9): "diminished seventh",
    (0, 4, 8, 10): "augmented seventh",
    (0, 4, 8, 11): "augmented major seventh",
    (0, 2, 7): "suspended",
    (0, 5, 7, 10): "suspended seventh",
    (0, 2, 4, 7, 10): "dominant ninth",
    (0, 2, 4, 7, 11): "major ninth",
    (0, 2, 3, 7, 10): "minor ninth",
    (0, 2, 4, 7): "added ninth",
    (0, 7): "fifth",
    (0, 3): "minor third",
    (0, 4): "major third",
    (0, 1): "second",
    (0, 2): "whole tone",
    (0, 6): "tritone",
    (0,): "unison",
}
"""Pitch classes over the root; where two roots would do, the bass is it."""
MAJOR_PROFILE = (17.77, 0.15, 14.93, 0.16, 19.8, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95)
MINOR_PROFILE = (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76)
"""How much of a piece each degree takes. Source: Aarden and Essen, as music21 has them."""


def key_heard(piece: Heard) -> Key:
    """The key that a piece is in by its notes (Krumhansl and Schmuckler's way)."""
    share = [0] * 12
    for note in piece.notes:
        share[note.pitch % 12] += note.length
    fits = {
        Key(tonic, minor): _correlation([*share[tonic:], *share[:tonic]], profile)
        for minor, profile in ((False, MAJOR_PROFILE), (True, MINOR_PROFILE))
        for tonic in range(12)
    }
    return max(fits, key=lambda key: fits[key])


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    both = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    alone = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return float(both / alone**0.5) if alone else 0.0


def notes(piece: Heard) -> Histogram:
    """Degrees over the tonic that is heard, by how long they sound; rests too."""
    tonic = key_heard(piece).tonic
    found: Histogram = Counter()
    for note in piece.notes:
        found[(note.pitch - tonic) % 12] += note.length
    for length in rests(piece):
        found[REST] += length
    return found


def rests(piece: Heard) -> list[int]:
    """How long the voices are silent between their notes, in ticks."""
    found = []
    for number in {note.voice for note in piece.notes}:
        line = piece.voice(number)
        found += [b.start - a.end for a, b in pairwise(line) if b.start > a.end]
    return found


def rhythm(piece: Heard) -> Histogram:
    """How long notes and rests are, in ticks."""
    return Counter([note.length for note in piece.notes] + rests(piece))


def waits(piece: Heard) -> Histogram:
    """Ticks from one onset to the next."""
    return Counter(b - a for (a, _), (b, _) in pairwise(piece.groups()))


def harmony(piece: Heard) -> Histogram:
    """Kinds of chord, one for every change of what sounds."""
    return Counter(chord_kind(pitches) for _, _, pitches in piece.chords() if pitches)


def chord_kind(pitches: Sequence[int]) -> str:
    """The name of a chord without its root, ``OTHER`` where it has none."""
    classes = sorted({pitch % 12 for pitch in pitches})
    bass = min(pitches) % 12
    for root in sorted(classes, key=lambda c: (c != bass, c)):
        kind = CHORDS.get(tuple(sorted((c - root) % 12 for c in classes)))
        if kind:
            return kind
    return OTHER


def intervals(line: Sequence[Note]) -> Histogram:
    """Steps of a line in semitones, up and down; none over a rest."""
    return Counter(b.pitch - a.pitch for a, b in pairwise(line) if b.start <= a.end)


def parallels(piece: Heard) -> Histogram:
    """Parallel fifths and octaves between any two voices, but over a fermata.

    Both voices go on from note to note at the same time, in the same direction, and are a fifth
    (an octave, a unison) apart before and after.
    """
    moves = [_moves(piece, voice) for voice in range(VOICES)]
    found: Histogram = Counter({"fifths": 0, "octaves": 0})
    for upper, lower in combinations(moves, 2):
        for at in upper.keys() & lower.keys():
            (a, b), (c, d) = upper[at], lower[at]
            same = (b - a) * (d - c) > 0
            before, after = abs(a - c) % 12, abs(b - d) % 12
            if same and before == after and before in (0, 7):
                found["octaves" if before == 0 else "fifths"] += 1
    return found


def _moves(piece: Heard, voice: int) -> dict[int, tuple[int, int]]:
    """By the tick of every move of a voice: the note before and the note after."""
    found = {}
    for a, b in pairwise(piece.voice(voice)):
        step = a.start // TICKS_PER_STEP
        rested = any(start <= step < end for start, end in piece.form.fermatas)
        if a.end == b.start and not rested:
            found[b.start] = (a.pitch, b.pitch)
    return found


def repeats(line: Sequence[tuple[Hashable, int]]) -> Histogram:
    """How long the sequences are that a line repeats, each counted as often as it occurs.

    A sequence begins with a note, holds at least two, and counts only where no longer one is
    repeated as often. Source: Hsu, Liu and Chen 2001, "Discovering nontrivial repeating patterns
    in music data", which the paper names.

    Args:
        line: symbols with their lengths in steps (the last note of a sequence may be cut short).
    """
    signs: list[Hashable] = []
    starts = []
    for symbol, length in line:
        starts.append(len(signs))
        signs += [symbol, *[None] * (length - 1)]
    known = {sign: n for n, sign in enumerate(dict.fromkeys(signs))}
    told = [known[sign] for sign in signs]
    at = {start: n for n, start in enumerate(starts)}
    order = sorted(starts, key=lambda start: told[start:])
    shared = [_common(told[a:], told[b:]) for a, b in pairwise(order)]
    found: Histogram = Counter()
    for left, right, length in _intervals(shared):
        where = [at[start] for start in order[left : right + 1]]
        befores = {line[n - 1] if n else n for n in where}
        second = where[0] + 1
        if (
            second < len(starts)
            and starts[second] < starts[where[0]] + length
            and (len(befores) > 1 or 0 in befores)
        ):
            found[length] += len(where)
    return found


def _common(a: list[int], b: list[int]) -> int:
    """How many symbols two sequences begin with in common."""
    for n, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return n
    return min(len(a), len(b))


def _intervals(shared: list[int]) -> list[tuple[int, int, int]]:
    """The maximal runs of a sorted order that share a beginning: first, last, its length."""
    found, stack = [], [(0, 0)]
    for at, length in enumerate([*shared, 0]):
        left = at
        while stack[-1][1] > length:
            left, longer = stack.pop()
            found.append((left, at, longer))
        if stack[-1][1] < length:
            stack.append((left, length))
    return found


def of_four_voices(piece: Heard) -> dict[str, Histogram]:
    """The nine features of the paper."""
    lines = [piece.voice(voice) for voice in range(VOICES)]
    repeated: Histogram = Counter()
    for line in lines:
        repeated += repeats([(note.pitch, max(1, note.length // TICKS_PER_STEP)) for note in line])
    return {
        "notes": notes(piece),
        "rhythm": rhythm(piece),
        PARALLELS: parallels(piece),
        "harmony": harmony(piece),
        **{
            f"{name} intervals": intervals(line)
            for name, line in zip(("soprano", "alto", "tenor", "bass"), lines, strict=True)
        },
        REPEATS: repeated,
    }


def of_lines(piece: Heard) -> dict[str, Histogram]:
    """The same for music in free rhythm; the length of repeats in notes, by powers of two."""
    top = piece.top()
    waited = [b.start - a.start for a, b in pairwise(top)]
    line = [((note.pitch, wait), 1) for note, wait in zip(top, [0, *waited], strict=True)]
    repeated: Histogram = Counter()
    for length, count in repeats(line).items():
        assert isinstance(length, int)
        repeated[length.bit_length()] += count
    return {
        "notes": notes(piece),
        "rhythm": rhythm(piece),
        "onsets": waits(piece),
        "harmony": harmony(piece),
        "melody": intervals(top),
        REPEATS: repeated,
    }


Features = Callable[[Heard], dict[str, Histogram]]


def features_of(codec_name: str) -> Features:
    """What is counted of the music of a codec."""
    return of_four_voices if codec_name == FourPartCodec.name else of_lines
