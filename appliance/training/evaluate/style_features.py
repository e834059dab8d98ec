"""What a piece is made of, as histograms: the features of 'Bach or Mock', and others like them.

Source: Fang, Liu, Seetharaman and Pardo 2020, "Bach or Mock? A Grading Function for Chorales in
the Style of J. S. Bach". Where the paper uses the spelling of a score, semitones are used here: an
augmented second and a minor third are the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations, pairwise
from typing import Final

from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.events import TICKS_PER_STEP
from appliance.music.notes import Note
from appliance.music.score import VOICES, Key
from appliance.training.evaluate.finished_pieces import FinishedPiece

Histogram = Counter[Hashable]
Features = Callable[[FinishedPiece], dict[str, Histogram]]

REST = "rest"
OTHER_CHORD = "other"
PARALLELS, REPEATS = "parallels", "repeats"
MODELESS_FEATURES = ("rhythm", "onsets", PARALLELS, REPEATS)
"""Features that do not depend on whether a piece is in major or in minor."""
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
"""Pitch classes over the root. Where two roots fit, the bass is the root."""
MAJOR_PROFILE = (17.77, 0.15, 14.93, 0.16, 19.8, 11.36, 0.29, 22.06, 0.15, 8.15, 0.23, 4.95)
MINOR_PROFILE = (18.26, 0.74, 14.05, 16.86, 0.70, 14.44, 0.70, 18.62, 4.57, 1.93, 7.38, 1.76)
"""How long each pitch class sounds, in percent, from the tonic up. Source: Aarden and Essen, as in
music21."""


def features_for(codec_name: str) -> Features:
    """The features for the music of a codec."""
    return four_part_features if codec_name == FourPartCodec.name else free_rhythm_features


def four_part_features(piece: FinishedPiece) -> dict[str, Histogram]:
    """The nine features of the paper, for music in four voices."""
    lines = [piece.voice(voice) for voice in range(VOICES)]
    repeats: Histogram = Counter()
    for line in lines:
        repeats += repeated_lengths(
            [(note.pitch, max(1, note.length // TICKS_PER_STEP)) for note in line]
        )
    return {
        "notes": degrees(piece),
        "rhythm": durations(piece),
        PARALLELS: parallels(piece),
        "harmony": chord_kinds(piece),
        **{
            f"{name} intervals": intervals(line)
            for name, line in zip(("soprano", "alto", "tenor", "bass"), lines, strict=True)
        },
        REPEATS: repeats,
    }


def free_rhythm_features(piece: FinishedPiece) -> dict[str, Histogram]:
    """The same kind of features for music in free rhythm.

    Repeats are counted in notes of the top line, by the number of bits of their length.
    """
    top = piece.top_line()
    waits = [0, *(b.start - a.start for a, b in pairwise(top))]
    line = [((note.pitch, wait), 1) for note, wait in zip(top, waits, strict=True)]
    repeats: Histogram = Counter()
    for length, count in repeated_lengths(line).items():
        assert isinstance(length, int)
        repeats[length.bit_length()] += count
    return {
        "notes": degrees(piece),
        "rhythm": durations(piece),
        "onsets": onset_intervals(piece),
        "harmony": chord_kinds(piece),
        "melody": intervals(top),
        REPEATS: repeats,
    }


def estimate_key(piece: FinishedPiece) -> Key:
    """The key by the notes alone, with the algorithm of Krumhansl and Schmuckler."""
    durations_by_class = [0] * 12
    for note in piece.notes:
        durations_by_class[note.pitch % 12] += note.length
    fits = {
        Key(tonic, minor): _correlation(
            [*durations_by_class[tonic:], *durations_by_class[:tonic]], profile
        )
        for minor, profile in ((False, MAJOR_PROFILE), (True, MINOR_PROFILE))
        for tonic in range(12)
    }
    return max(fits, key=lambda key: fits[key])


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's correlation coefficient; 0 where one side is constant."""
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    covariance = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    variances = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return float(covariance / variances**0.5) if variances else 0.0


def degrees(piece: FinishedPiece) -> Histogram:
    """Ticks by semitones over the estimated tonic, and ticks of rests."""
    tonic = estimate_key(piece).tonic
    histogram: Histogram = Counter()
    for note in piece.notes:
        histogram[(note.pitch - tonic) % 12] += note.length
    for length in rests(piece):
        histogram[REST] += length
    return histogram


def rests(piece: FinishedPiece) -> list[int]:
    """The lengths of all rests within the voices, in ticks."""
    lengths = []
    for number in {note.voice for note in piece.notes}:
        line = piece.voice(number)
        lengths += [b.start - a.end for a, b in pairwise(line) if b.start > a.end]
    return lengths


def durations(piece: FinishedPiece) -> Histogram:
    """Notes and rests by their duration in ticks."""
    return Counter([note.length for note in piece.notes] + rests(piece))


def onset_intervals(piece: FinishedPiece) -> Histogram:
    """Onsets by the ticks since the onset before."""
    return Counter(b - a for (a, _), (b, _) in pairwise(piece.onset_groups()))


def chord_kinds(piece: FinishedPiece) -> Histogram:
    """Chords by their kind, one for every change of what sounds."""
    return Counter(chord_kind(pitches) for _, _, pitches in piece.chords() if pitches)


def chord_kind(pitches: Sequence[int]) -> str:
    """The name of a chord without its root; ``OTHER_CHORD`` where it has no name."""
    classes = sorted({pitch % 12 for pitch in pitches})
    bass = min(pitches) % 12
    for root in sorted(classes, key=lambda c: (c != bass, c)):
        kind = CHORDS.get(tuple(sorted((c - root) % 12 for c in classes)))
        if kind:
            return kind
    return OTHER_CHORD


def intervals(line: Sequence[Note]) -> Histogram:
    """Signed intervals of a line in semitones, without those across a rest."""
    return Counter(b.pitch - a.pitch for a, b in pairwise(line) if b.start <= a.end)


def parallels(piece: FinishedPiece) -> Histogram:
    """Parallel fifths and octaves between any two voices, except after a fermata.

    Both voices move at the same time and in the same direction, and are a fifth (an octave or a
    unison) apart before and after.
    """
    moves = [_moves(piece, voice) for voice in range(VOICES)]
    histogram: Histogram = Counter({"fifths": 0, "octaves": 0})
    for upper, lower in combinations(moves, 2):
        for tick in upper.keys() & lower.keys():
            (a, b), (c, d) = upper[tick], lower[tick]
            similar_motion = (b - a) * (d - c) > 0
            before, after = abs(a - c) % 12, abs(b - d) % 12
            if similar_motion and before == after and before in (0, 7):
                histogram["octaves" if before == 0 else "fifths"] += 1
    return histogram


def _moves(piece: FinishedPiece, voice: int) -> dict[int, tuple[int, int]]:
    """The moves of a voice by their ticks: the pitches before and after."""
    moves = {}
    for a, b in pairwise(piece.voice(voice)):
        step = a.start // TICKS_PER_STEP
        fermata = any(start <= step < end for start, end in piece.form.fermatas)
        if a.end == b.start and not fermata:
            moves[b.start] = (a.pitch, b.pitch)
    return moves


def repeated_lengths(line: Sequence[tuple[Hashable, int]]) -> Histogram:
    """The lengths of the repeated sequences in a line, each counted at every occurrence.

    A sequence starts with a note and has at least two. It counts only if no longer sequence
    around it is repeated as often. Source: Hsu, Liu and Chen 2001, "Discovering nontrivial
    repeating patterns in music data", which the paper refers to.

    Args:
        line: symbols with their lengths in steps (the last note of a sequence may be cut short).
    """
    steps: list[Hashable] = []
    starts = []
    for symbol, length in line:
        starts.append(len(steps))
        steps += [symbol, *[None] * (length - 1)]
    number_of = {symbol: number for number, symbol in enumerate(dict.fromkeys(steps))}
    numbers = [number_of[symbol] for symbol in steps]
    index_of = {start: index for index, start in enumerate(starts)}
    # A suffix array of the places where notes start, and the longest common prefixes.
    suffixes = sorted(starts, key=lambda start: numbers[start:])
    common = [_common_prefix(numbers[a:], numbers[b:]) for a, b in pairwise(suffixes)]
    histogram: Histogram = Counter()
    for left, right, length in _prefix_ranges(common):
        places = [index_of[start] for start in suffixes[left : right + 1]]
        symbols_before = {line[place - 1] if place else place for place in places}
        second = places[0] + 1
        if (
            second < len(starts)
            and starts[second] < starts[places[0]] + length
            and (len(symbols_before) > 1 or 0 in symbols_before)
        ):
            histogram[length] += len(places)
    return histogram


def _common_prefix(a: list[int], b: list[int]) -> int:
    """The number of items that two lists start with in common."""
    for n, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return n
    return min(len(a), len(b))


def _prefix_ranges(common: list[int]) -> list[tuple[int, int, int]]:
    """The maximal ranges of a suffix array with a common prefix: first, last, prefix length."""
    ranges, stack = [], [(0, 0)]
    for index, length in enumerate([*common, 0]):
        left = index
        while stack[-1][1] > length:
            left, longer = stack.pop()
            ranges.append((left, index, longer))
        if stack[-1][1] < length:
            stack.append((left, length))
    return ranges
