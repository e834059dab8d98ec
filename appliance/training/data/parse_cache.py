"""Scores that take long to parse: by all processors at once, and kept for the next time."""

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

from appliance.errors import UsageError

log = logging.getLogger(__name__)

T = TypeVar("T")
MAX_REASONS = 12


def kept(cache: Path, from_json: Callable[[Any], T], parse: Callable[[], Sequence[T]]) -> list[T]:
    """The scores in ``cache``, or else what ``parse`` gives, which is in there from then on.

    Args:
        cache: a JSON file.
        from_json: a score out of its entry.
        parse: makes them all; scores are dataclasses.

    Raises:
        UsageError: the file is damaged.
    """
    if cache.is_file():
        try:
            return [from_json(entry) for entry in json.loads(cache.read_text())]
        except (LookupError, TypeError, ValueError) as why:
            raise UsageError(f"{cache}: damaged; delete it and it is made anew") from why
    scores = [*parse()]
    write(cache, to_json(scores))
    return scores


def to_json(scores: Iterable[Any]) -> list[dict[str, Any]]:
    """Dataclasses as JSON knows them."""
    return [asdict(score) for score in scores]


def write(path: Path, content: object) -> None:
    """JSON into a file, which is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(content))
    unfinished.replace(path)


def parse_all(
    parse: Callable[[str], T | str], sources: Sequence[str], what: str, chunk: int
) -> list[T]:
    """What ``parse`` makes of each source, without those for which it gives a sentence why not.

    Args:
        parse: a function of a module, so that other processes find it.
        sources: paths, or the scores themselves as text.
        what: they are, in the plural.
        chunk: so many go to a process at a time.
    """
    scores: list[T] = []
    left_out: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for outcome in tqdm(pool.map(parse, sources, chunksize=chunk), what, len(sources)):
            if isinstance(outcome, str):
                left_out[outcome] += 1
            else:
                scores.append(outcome)
    for reason, count in left_out.most_common(MAX_REASONS):
        log.info("left out %d %s: %s", count, what, reason)
    return scores
