"""Scores in free rhythm from MIDI and MusicXML files, and the codec that fits them."""

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
from appliance.music.codecs import free_rhythm_conversion
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.files import score_reader
from appliance.music.notes import Note
from appliance.music.score import Form, FreeRhythmScore, Key
from appliance.training.data import parse_cache, piece_facts

log = logging.getLogger(__name__)

CACHE_FORMAT = 6
"""Rises when scores are read otherwise, or more of them is kept."""
MAX_DURATIONS = 32
MIN_DURATION_COUNT = 8
"""Durations that are rarer than this are rounded to the nearest of the others."""
BASIC_DURATIONS_TICKS = (60, 120, 240, 480, 960)
"""Durations that every codec has."""


def read_files(paths: Sequence[Path], cache: Path) -> tuple[list[FreeRhythmScore], dict[Path, str]]:
    """Read scores on all cores.

    Args:
        paths: MIDI and MusicXML files.
        cache: a JSON file with the scores, used again as long as paths, sizes and times of the
            files stay the same.

    Returns:
        the scores, and for each file that could not be read the reason why.

    Raises:
        OSError: one of ``paths`` does not exist, or the cache cannot be read or written.
        ValueError: the cache is not JSON.
    """
    fingerprint: list[Any] = [CACHE_FORMAT]
    stats = [path.stat() for path in paths]
    fingerprint += [
        [str(path), stat.st_size, stat.st_mtime_ns] for path, stat in zip(paths, stats, strict=True)
    ]
    if cache.is_file():
        cached = json.loads(cache.read_text())
        if cached["files"] == fingerprint:
            refused = {Path(path): reason for path, reason in cached["refused"].items()}
            return [_from_json(entry) for entry in cached["scores"]], refused
    scores: list[FreeRhythmScore] = []
    refused = {}
    with ProcessPoolExecutor() as pool:
        outcomes = tqdm(pool.map(_read, paths), "reading", len(paths))
        for path, outcome in zip(paths, outcomes, strict=True):
            if isinstance(outcome, str):
                refused[path] = outcome
            else:
                scores.append(outcome)
    reasons = {str(path): reason for path, reason in refused.items()}
    content = {"files": fingerprint, "scores": parse_cache.to_json(scores), "refused": reasons}
    parse_cache.write_json(cache, content)
    return scores, refused


def _read(path: Path) -> FreeRhythmScore | str:
    try:
        file = score_reader.read(path)
        score = free_rhythm_conversion.to_free_rhythm(file)
        return piece_facts.with_facts_of_file(score, file, path)
    except UsageError as error:
        return str(error)


def _from_json(entry: dict[str, Any]) -> FreeRhythmScore:
    bar, pickup, steps, _, beat, *_ = entry["form"]
    return FreeRhythmScore(
        name=entry["name"],
        notes=tuple(Note(*note) for note in entry["notes"]),
        key=Key(*entry["key"]),
        form=Form(bar, pickup, steps, (), beat, None, piece_facts.facts_from_json(entry["form"])),
        notices=tuple(entry.get("notices", ())),
    )


def codec_for(
    scores: Sequence[FreeRhythmScore],
    pretrain_scores: Sequence[FreeRhythmScore] = (),
    *,
    conditioning: bool = False,
) -> FreeRhythmCodec:
    """A codec for the pitches of all these scores and for the durations of ``scores``.

    For ``conditioning`` see :class:`appliance.music.codecs.free_rhythm_tokens.FreeRhythmTokens`.

    Raises:
        ValueError: the scores have no notes, or the codec cannot hold them.
    """
    pitches = [note.pitch for score in (*scores, *pretrain_scores) for note in score.notes]
    counts: Counter[int] = Counter()
    for score in scores:
        starts = sorted({note.start for note in score.notes})
        counts.update(b - a for a, b in pairwise(starts))
        counts.update(note.length for note in score.notes)
    common = [
        ticks for ticks, count in counts.most_common(MAX_DURATIONS) if count >= MIN_DURATION_COUNT
    ]
    lengths = sorted({*common, *BASIC_DURATIONS_TICKS})
    return FreeRhythmCodec(
        lowest=min(pitches), highest=max(pitches), lengths=lengths, conditioning=conditioning
    )
