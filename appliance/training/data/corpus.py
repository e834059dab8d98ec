"""Scores to learn from: Bach's chorales out of music21, or the published JSB benchmark."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.errors import BachboxError, UsageError
from appliance.music.files.four_part_reader import from_music21
from appliance.music.score import (
    HIGHEST,
    SILENT,
    VOICES,
    Form,
    FreeRhythmScore,
    Key,
    Score,
    key_of,
    onsets_by_change,
)
from appliance.training.data import free_rhythm_corpus, parse_cache
from appliance.training.recipe import CorpusPart

log = logging.getLogger(__name__)

BENCHMARK_FILE = "chorales/Jsb16thSeparated.json"
SPLITS = ("train", "valid", "test")

ALSO = "also"
Corpus = dict[str, list[Any]]
"""The pieces of each of ``SPLITS``, of the kind that the codec encodes; some have ``ALSO``, pieces
of another kind of music that are learned from at first (see ``also`` in a recipe)."""


def learned(scores: Corpus) -> list[Any]:
    """Every piece that a model has learned from."""
    return [*scores["train"], *scores.get(ALSO, [])]


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
    try:
        splits = json.loads(path.read_text())
        return {
            split: [_benchmark_piece(f"jsb-{split}-{n}", rows) for n, rows in enumerate(pieces)]
            for split, pieces in ((split, splits[split]) for split in SPLITS)
        }
    except (LookupError, TypeError, ValueError, StopIteration) as why:
        raise UsageError(f"{path}: not the benchmark as it was published ({why!r})") from why


def _benchmark_piece(name: str, piece: list[list[float]]) -> Score:
    rows = [[SILENT if p < 0 else int(p) for p in row] for row in piece]
    if any(len(row) != VOICES or not SILENT <= max(row) <= HIGHEST for row in rows):
        raise ValueError(f"{name} has something else than four voices")
    return Score(
        name=name,
        pitches=tuple(map(tuple, rows)),
        onsets=onsets_by_change(rows),
        key=key_of(rows),
        form=Form(16, 0, len(rows)),
    )


def chorales(cache: Path, held_out: dict[str, list[str]], left_out: Sequence[str] = ()) -> Corpus:
    """Bach's four-part chorales from music21's corpus, with onsets, metre and fermatas.

    Args:
        cache: a folder for the parsed scores (parsing takes a minute or two).
        held_out: names of the pieces of ``valid`` and ``test``; all others are for training.
        left_out: names of pieces that are used for nothing.
    """
    scores = parse_cache.kept(cache / "chorales.json", _from_json, _parse_all)
    known = {score.name for score in scores}
    for split, names in (*held_out.items(), ("nothing", left_out)):
        if missing := sorted(set(names) - known):
            raise UsageError(f"held out for {split} but not in music21's corpus: {missing}")
    found: Corpus = {split: [] for split in SPLITS}
    for score in scores:
        if score.name in left_out:
            continue
        split = next((s for s, names in held_out.items() if score.name in names), "train")
        found[split].append(score)
    return found


def lines(data: Path, part: CorpusPart, cache: Path) -> Corpus:
    """Scores in free rhythm from folders, split by the beginnings of their names.

    Raises:
        UsageError: a folder, or a piece to be held out, is not there.
    """
    found: Corpus = {split: [] for split in SPLITS}
    if part.also:
        found[ALSO] = _read(data, part.also, cache.with_stem(f"{cache.stem}-{ALSO}"))
    for score in _read(data, part.folders, cache):
        if score.name.startswith(tuple(part.left_out)):
            continue
        held = [s for s in ("valid", "test") if score.name.startswith(tuple(getattr(part, s)))]
        found[held[0] if held else "train"].append(score)
    for split in ("valid", "test"):
        for wanted in getattr(part, split):
            if not any(score.name.startswith(wanted) for score in found[split]):
                raise UsageError(f"held out for {split} but not in {data}: {wanted}")
    return found


def _read(data: Path, folders: Sequence[str], cache: Path) -> list[FreeRhythmScore]:
    paths: list[Path] = []
    for folder in folders:
        if not (data / folder).is_dir():
            raise UsageError(
                f"{data / folder}: there is no such folder of scores; --data names the folder that "
                f"holds {', '.join(folders)}"
            )
        paths += sorted(path for path in (data / folder).iterdir() if path.is_file())
    scores, refused = free_rhythm_corpus.read(paths, cache)
    for path, why in refused.items():
        log.info("left out %s: %s", path.name, why)
    return scores


def _parse_all() -> list[Score]:
    from music21 import corpus

    paths = sorted(str(path) for path in corpus.getComposer("bach"))
    return parse_cache.parse_all(_parse, paths, "chorales", chunk=4)


def _parse(path: str) -> Score | str:
    """A score, or why the file is none of ours."""
    from music21 import converter

    try:
        return from_music21(converter.parse(path), name=Path(path).stem)
    except BachboxError as why:
        return str(why)


def _from_json(entry: dict[str, Any]) -> Score:
    form = entry["form"]
    return Score(
        name=entry["name"],
        pitches=tuple(map(tuple, entry["pitches"])),
        onsets=tuple(map(tuple, entry["onsets"])),
        key=Key(*entry["key"]),
        form=Form(form[0], form[1], form[2], tuple((a, b) for a, b in form[3])),
    )


def voice_ranges(scores: Sequence[Score]) -> list[list[int]]:
    """Lowest and highest MIDI note of every voice in the corpus."""
    found = []
    for voice in range(VOICES):
        notes = [row[voice] for score in scores for row in score.pitches if row[voice] != SILENT]
        found.append([min(notes), max(notes)])
    return found
