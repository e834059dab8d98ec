"""Reels, jigs and hornpipes from music21's corpus; variants of a tune are in the same split.

The same tune is in several books, with small differences. Tunes that share a good part of their
bars, or their title, are one family. A family is in one split as a whole, and of two tunes that
hardly differ only one is kept.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.text import TuneText, split_tunes
from appliance.music.score import Form, Key
from appliance.training.data import parse_cache, piece_facts

log = logging.getLogger(__name__)

BOOKS = ("ryansMammoth", "oneills1850", "nottingham-dataset", "airdsAirs")
FIRST_DANCE_NUMBER = 701
"""In O'Neill's book, the tunes before this number are airs."""
HELD_OUT_SHARE = 0.05
"""The share of all families that is held out, for valid and for test each."""
SAME_FAMILY_SHARE, DUPLICATE_SHARE = 0.25, 0.7
"""Two tunes are compared by the pairs of bars that they have in common, as a share of the pairs of
the shorter tune. From these shares on they are one family, or duplicates."""
MAX_TUNES_PER_PAIR = 12
"""A pair of bars that is in more tunes than this is a commonplace, and is not compared."""


def load(cache: Path) -> dict[str, list[AbcScore]]:
    """The corpus, split into train, valid and test by a hash of each family.

    Args:
        cache: a JSON file for the parsed tunes.

    Raises:
        UsageError: the file is damaged.
        OSError: the file cannot be read or written.
    """
    return split(parse_cache.load_or_parse(cache, _from_json, _parse_all))


def split(scores: Sequence[AbcScore]) -> dict[str, list[AbcScore]]:
    """Tunes in train, valid and test: every family in one of them, and without duplicates."""
    splits: dict[str, list[AbcScore]] = {"train": [], "valid": [], "test": []}
    for family in group_families(scores):
        digest = hashlib.sha256(family[0].text.encode()).digest()
        bucket = int(int.from_bytes(digest[:4], "big") / 2**32 / HELD_OUT_SHARE)
        splits[("valid", "test")[bucket] if bucket < 2 else "train"] += family
    return {name: sorted(tunes, key=_sort_key) for name, tunes in splits.items()}


def _sort_key(score: AbcScore) -> tuple[str, str]:
    return score.text, score.name


def _title_letters(score: AbcScore) -> str:
    """A title without the numbers by which its variants are called."""
    return re.sub(r"[^a-z]", "", score.name.lower())


def group_families(
    scores: Sequence[AbcScore], title: Callable[[AbcScore], str] = _title_letters
) -> list[list[AbcScore]]:
    """Group tunes that are similar, and drop all but one of those that hardly differ.

    Args:
        scores: tunes in any order; the result does not depend on it.
        title: the same string for tunes that have the same title.
    """
    scores = sorted(scores, key=_sort_key)
    parent = list(range(len(scores)))  # a union-find forest

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    duplicates: set[int] = set()
    for one, other, share in _similar_pairs(scores, title):
        if share >= DUPLICATE_SHARE and one not in duplicates:
            duplicates.add(other)
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    families: dict[int, list[AbcScore]] = defaultdict(list)
    for n, score in enumerate(scores):
        if n not in duplicates:
            families[root(n)].append(score)
    sizes = Counter(root(n) for n in range(len(scores)))
    log.info(
        "%d tunes, of which %d are near-duplicates; %d families, the largest of %d tunes",
        *(len(scores), len(duplicates), len(sizes), max(sizes.values())),
    )
    return [*families.values()]


def _similar_pairs(
    scores: Sequence[AbcScore], title: Callable[[AbcScore], str]
) -> list[tuple[int, int, float]]:
    """Pairs of tunes of one family, with the share of bars in common (0 for the title alone)."""
    bar_pairs = [_bar_pairs(score) for score in scores]
    tunes_with: dict[object, list[int]] = defaultdict(list)
    tunes_titled: dict[str, list[int]] = defaultdict(list)
    for n, score in enumerate(scores):
        for pair in bar_pairs[n]:
            tunes_with[pair].append(n)
        tunes_titled[title(score)].append(n)
    common: Counter[tuple[int, int]] = Counter()
    for tunes in tunes_with.values():
        if len(tunes) <= MAX_TUNES_PER_PAIR:
            common.update((a, b) for a in tunes for b in tunes if a < b)
    similar = []
    for (one, other), count in sorted(common.items()):
        share = count / min(len(bar_pairs[one]), len(bar_pairs[other]))
        if share >= SAME_FAMILY_SHARE:
            similar.append((one, other, share))
    similar += [
        (a, b, 0.0) for tunes in tunes_titled.values() for a in tunes[:1] for b in tunes[1:]
    ]
    return similar


def _bar_pairs(score: AbcScore) -> set[tuple[str, str]]:
    """All two bars in a row, reduced to the letters of their notes without length and octave."""
    bars = [
        re.sub(r"[^A-G]", "", bar.upper())
        for bar in re.split(r"\|:|:\|2|\|1|:\||::|\|+", score.text)
    ]
    bars = [bar for bar in bars if len(bar) > 1]
    return {(a, b) for a, b in pairwise(bars)} or {(score.text, "")}


def _parse_all() -> list[AbcScore]:
    import music21

    root = Path(music21.__file__).parent / "corpus"
    paths = [path for book in BOOKS for path in sorted((root / book).glob("*.abc"))]
    tunes = [
        tune
        for path in paths
        for tune in split_tunes(path.read_text("latin-1"))
        if path.parent.name != "oneills1850" or _number(tune.text) >= FIRST_DANCE_NUMBER
    ]
    return parse_cache.parse_all(_parse, tunes, "tunes", chunk=32)


def _number(text: str) -> int:
    match = re.match(r"X: *(\d+)", text)
    return int(match[1]) if match else 0


def _parse(tune: TuneText) -> AbcScore | str:
    """A tune, or the reason why it cannot be used, without its details."""
    title = re.search(r"(?m)^T:(.*)", tune.text)
    name = re.split(r" *--|,? \(", title[1].strip())[0] if title else ""
    try:
        score = reader.parse(tune, re.sub(r"(?i)\b(the|a|an)\b|- *[a-z]+$", "", name).strip())
    except ValueError as error:
        return re.sub(r"'.*'", "...", re.sub(r"\d+(/\d+)?", "n", str(error)))
    kind = piece_facts.kind_of_tune(tune.text, score.form)
    found: AbcScore = piece_facts.with_facts(score, kind)
    return found


def _from_json(entry: dict[str, Any]) -> AbcScore:
    bar, pickup, steps, _, beat, *_ = entry["form"]
    return AbcScore(
        entry["name"],
        tuple(entry["symbols"]),
        Key(*entry["key"]),
        Form(bar, pickup, steps, (), beat, None, piece_facts.facts_from_json(entry["form"])),
    )
