"""Scores in free rhythm out of folders of MIDI and MusicXML files."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from tqdm import tqdm

from appliance.errors import UsageError
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.files import free_rhythm_reader
from appliance.music.score import Form, FreeRhythmScore, Key, Note
from appliance.training.data import parse_cache

log = logging.getLogger(__name__)

MAX_LENGTHS = 32
MIN_COUNT = 8
"""A length that is rarer is told as the nearest that is not."""
PLAIN_LENGTHS = (60, 120, 240, 480, 960)


def read(paths: Sequence[Path], cache: Path) -> tuple[list[FreeRhythmScore], dict[Path, str]]:
    """The scores of files, and why the others could not be read.

    Args:
        paths: MIDI and MusicXML files.
        cache: a JSON file for what was read, used again while the files stay as they are.
    """
    state = [[path.parent.name, path.name, path.stat().st_size] for path in paths]
    if cache.is_file():
        kept = json.loads(cache.read_text())
        if kept["files"] == state:
            refused = {Path(path): why for path, why in kept["refused"].items()}
            return [_from_json(entry) for entry in kept["scores"]], refused
    scores: list[FreeRhythmScore] = []
    refused = {}
    with ProcessPoolExecutor() as pool:
        outcomes = tqdm(pool.map(_read, paths), "reading", len(paths))
        for path, found in zip(paths, outcomes, strict=True):
            if isinstance(found, str):
                refused[path] = found
            else:
                scores.append(found)
    told = {str(path): why for path, why in refused.items()}
    content = {"files": state, "scores": parse_cache.to_json(scores), "refused": told}
    parse_cache.write(cache, content)
    return scores, refused


def _read(path: Path) -> FreeRhythmScore | str:
    try:
        return free_rhythm_reader.read(path)
    except UsageError as why:
        return str(why)


def _from_json(entry: dict[str, Any]) -> FreeRhythmScore:
    bar, pickup, steps, _, beat, *_ = entry["form"]
    return FreeRhythmScore(
        name=entry["name"],
        notes=tuple(Note(*note) for note in entry["notes"]),
        key=Key(*entry["key"]),
        form=Form(bar, pickup, steps, (), beat),
    )


def codec_for(
    scores: Sequence[FreeRhythmScore], also: Sequence[FreeRhythmScore] = ()
) -> FreeRhythmCodec:
    """A codec with the notes and the lengths that occur in these scores, and others' notes."""
    pitches = [note.pitch for score in (*scores, *also) for note in score.notes]
    counts: Counter[int] = Counter()
    for score in scores:
        starts = sorted({note.start for note in score.notes})
        counts.update(b - a for a, b in pairwise(starts))
        counts.update(note.length for note in score.notes)
    common = [ticks for ticks, n in counts.most_common(MAX_LENGTHS) if n >= MIN_COUNT]
    lengths = sorted({*common, *PLAIN_LENGTHS})
    return FreeRhythmCodec(lowest=min(pitches), highest=max(pitches), lengths=lengths)
