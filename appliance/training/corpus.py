"""Scores to learn from: Bach's chorales out of music21, or the published JSB benchmark."""

from __future__ import annotations

import json
import logging
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from appliance.errors import BachboxError, UsageError
from appliance.music.score import SILENT, VOICES, Form, Key, Score, key_of, onsets_by_change

log = logging.getLogger(__name__)

BENCHMARK_FILE = "chorales/Jsb16thSeparated.json"
SPLITS = ("train", "valid", "test")

Corpus = dict[str, list[Score]]
"""The pieces of each of ``SPLITS``."""


def benchmark(folder: Path) -> Corpus:
    """The JSB chorales on a 16th grid in their published split (229, 76, 77 pieces).

    Source: Boulanger-Lewandowski et al. 2012, on the grid of Huang et al. 2017. The file
    does not tell a held note from a repeated one.

    Raises:
        UsageError: the folder does not hold it.
    """
    path = folder / BENCHMARK_FILE
    if not path.is_file():
        raise UsageError(
            f"{path}: the benchmark is not there; name the folder that holds "
            f"{BENCHMARK_FILE} with --data FOLDER"
        )
    found: Corpus = {}
    for split, pieces in json.loads(path.read_text()).items():
        found[split] = []
        for number, piece in enumerate(pieces):
            rows = [[SILENT if p < 0 else int(p) for p in row] for row in piece]
            found[split].append(
                Score(
                    name=f"jsb-{split}-{number}",
                    pitches=tuple(map(tuple, rows)),
                    onsets=onsets_by_change(rows),
                    key=key_of(rows),
                    form=Form(16, 0, len(rows)),
                )
            )
    return found


def chorales(cache: Path, held_out: dict[str, list[str]]) -> Corpus:
    """Bach's four-part chorales from music21's corpus, with onsets, metre and fermatas.

    Args:
        cache: a folder for the parsed scores (parsing takes a minute or two).
        held_out: names of the pieces of ``valid`` and ``test``; all others are for training.
    """
    path = cache / "chorales.json"
    if path.is_file():
        scores = [_from_json(entry) for entry in json.loads(path.read_text())]
    else:
        scores = _parse_all()
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps([asdict(score) for score in scores]))
        unfinished.replace(path)
    known = {score.name for score in scores}
    for split, names in held_out.items():
        if missing := sorted(set(names) - known):
            raise UsageError(f"held out for {split} but not in music21's corpus: {missing}")
    found: Corpus = {split: [] for split in SPLITS}
    for score in scores:
        split = next((s for s, names in held_out.items() if score.name in names), "train")
        found[split].append(score)
    return found


def _parse_all() -> list[Score]:
    from music21 import corpus

    paths = sorted(str(path) for path in corpus.getComposer("bach"))
    scores: list[Score] = []
    left_out: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for outcome in tqdm(pool.map(_parse, paths, chunksize=4), "chorales", len(paths)):
            if isinstance(outcome, Score):
                scores.append(outcome)
            else:
                left_out[outcome] += 1
    for reason, count in left_out.most_common():
        log.info("left out %d files: %s", count, reason)
    return scores


def _parse(path: str) -> Score | str:
    """A score, or why the file is none of ours."""
    from music21 import converter

    try:
        return read_score(converter.parse(path), name=Path(path).stem)
    except BachboxError as why:
        return str(why)


def read_score(stream: Any, name: str) -> Score:
    """A music21 score of four single voices as a :class:`Score`.

    Raises:
        BachboxError: it is not one; the sentence says what it has instead.
    """
    parts = list(stream.parts)
    if len(parts) != VOICES:
        raise BachboxError("not in four parts")
    metres = {
        (t.numerator, t.denominator)
        for t in parts[0].recurse().getElementsByClass("TimeSignature")
    }
    bars = {(4, 4): 16, (2, 2): 16, (3, 4): 12}
    if len({bars.get(metre) for metre in metres}) != 1 or not metres <= bars.keys():
        raise BachboxError("metre is not 4/4, 2/2 or 3/4 throughout")
    bar_steps = bars[metres.pop()]
    steps = round(float(max(part.duration.quarterLength for part in parts)) * 4)
    pitches = [[SILENT] * VOICES for _ in range(steps)]
    onsets = [[False] * VOICES for _ in range(steps)]
    fermatas: set[tuple[int, int]] = set()
    for voice, part in enumerate(parts):
        for note in part.stripTies().flatten().notes:
            start, length = float(note.offset) * 4, float(note.quarterLength) * 4
            if length == 0:
                continue
            if start % 1 or length % 1:
                start, length = round(start), max(1, round(length))
            pitch = max(p.midi for p in note.pitches)
            begin, end = int(start), min(int(start + length), steps)
            if begin >= end:
                continue
            for step in range(begin, end):
                pitches[step][voice] = pitch
                onsets[step][voice] = step == begin
            if voice == 0 and any("Fermata" in e.classes for e in note.expressions):
                fermatas.add((begin, end))
    if not any(p != SILENT for row in pitches for p in row):
        raise BachboxError("no notes")
    first = parts[0].getElementsByClass("Measure").first()
    pickup = round(float(first.duration.quarterLength) * 4) % bar_steps
    return Score(
        name=name,
        pitches=tuple(map(tuple, pitches)),
        onsets=tuple(map(tuple, onsets)),
        key=key_of(pitches),
        form=Form(bar_steps, pickup, steps, tuple(sorted(fermatas))),
    )


def _from_json(entry: dict[str, Any]) -> Score:
    form = entry["form"]
    return Score(
        name=entry["name"],
        pitches=tuple(map(tuple, entry["pitches"])),
        onsets=tuple(map(tuple, entry["onsets"])),
        key=Key(*entry["key"]),
        form=Form(*form[:3], tuple(map(tuple, form[3]))),
    )
