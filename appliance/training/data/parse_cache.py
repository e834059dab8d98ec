"""Scores that take long to parse: parsed on all cores, and cached as JSON."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from appliance.common.atomic_write import write_atomically
from appliance.errors import UsageError

log = logging.getLogger(__name__)

S = TypeVar("S")
T = TypeVar("T")
MAX_LOGGED_REASONS = 12


def load_or_parse(
    cache: Path, from_json: Callable[[Any], T], parse: Callable[[], Sequence[T]]
) -> list[T]:
    """The scores in ``cache``; without that file, the scores from ``parse``, which are then cached.

    Args:
        cache: a JSON file.
        from_json: makes a score from its JSON object.
        parse: makes all scores, which are dataclasses.

    Raises:
        UsageError: the file is damaged.
        OSError: the file cannot be read or written.
    """
    if cache.is_file():
        try:
            return [from_json(entry) for entry in json.loads(cache.read_text())]
        except (LookupError, TypeError, ValueError) as error:
            raise UsageError(f"{cache}: damaged; delete it and run this again") from error
    scores = [*parse()]
    write_json(cache, to_json(scores))
    return scores


def to_json(scores: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON objects."""
    return [asdict(score) for score in scores]


def write_json(path: Path, content: object) -> None:
    """Write JSON to a file atomically, and make its folder where there is none.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content).encode())


def parse_all(
    parse: Callable[[S], T | str], sources: Sequence[S], plural: str, chunk: int
) -> list[T]:
    """Parse all sources on all cores; log the reasons for those that gave no score.

    Args:
        parse: makes a score, or gives the reason why not. A function of a module, so that it can
            be sent to other processes.
        sources: paths, or the scores themselves as text.
        plural: what the scores are called, for the log and the progress bar.
        chunk: how many sources a process gets at a time.
    """
    scores: list[T] = []
    reasons: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for outcome in tqdm(pool.map(parse, sources, chunksize=chunk), plural, len(sources)):
            if isinstance(outcome, str):
                reasons[outcome] += 1
            else:
                scores.append(outcome)
    for reason, count in reasons.most_common(MAX_LOGGED_REASONS):
        log.info("skipped %d %s: %s", count, plural, reason)
    return scores
