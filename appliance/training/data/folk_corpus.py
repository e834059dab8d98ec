"""Reels, jigs and hornpipes out of music21's corpus, their variants kept on one side of the split.

The same tune stands in several books, a little different in each. Tunes that share a good part
of their bars, or their title, are one family; a family is in one split as a whole, and of two
that hardly differ only one is kept.
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
from appliance.music.codecs.abc.abc_codec import AbcScore
from appliance.music.score import Form, Key
from appliance.training.data import parse_cache

log = logging.getLogger(__name__)

BOOKS = ("ryansMammoth", "oneills1850", "nottingham-dataset", "airdsAirs")
FIRST_DANCE = 701
"""Of O'Neill's book the tunes before it are airs."""
HELD_OUT_SHARE = 0.05
"""Of the families, for each of valid and test."""
SAME_FAMILY, SAME_TUNE = 0.25, 0.7
"""Share of their pairs of bars (of the tune that has fewer) that two tunes have in common."""
COMMONPLACE = 12
"""A pair of bars that so many tunes have tells nothing."""


def tunes(cache: Path) -> dict[str, list[AbcScore]]:
    """The corpus, split into train, valid and test by a hash of each family.

    Args:
        cache: a JSON file for the parsed tunes.
    """
    return split(parse_cache.kept(cache, _from_json, _parse_all))


def split(scores: Sequence[AbcScore]) -> dict[str, list[AbcScore]]:
    """Every family in one of train, valid and test; hardly different tunes once."""
    found: dict[str, list[AbcScore]] = {"train": [], "valid": [], "test": []}
    for family in families(scores):
        place = int.from_bytes(hashlib.sha256(family[0].text.encode()).digest()[:4], "big") / 2**32
        side = int(place / HELD_OUT_SHARE)
        found[("valid", "test")[side] if side < 2 else "train"] += family
    return {side: sorted(tunes, key=_place) for side, tunes in found.items()}


def _place(score: AbcScore) -> tuple[str, str]:
    return score.text, score.name


def _letters(score: AbcScore) -> str:
    """A title without the numbers that tell its variants from one another."""
    return re.sub(r"[^a-z]", "", score.name.lower())


def families(
    scores: Sequence[AbcScore], title: Callable[[AbcScore], str] = _letters
) -> list[list[AbcScore]]:
    """Tunes that are alike together; of those that hardly differ only one is there.

    Args:
        scores: tunes in any order.
        title: the same for tunes that are one by their names.
    """
    scores = sorted(scores, key=_place)
    family = list(range(len(scores)))

    def head(n: int) -> int:
        while family[n] != n:
            n = family[n]
        return n

    dropped: set[int] = set()
    for one, other, share in _alike(scores, title):
        if share >= SAME_TUNE and one not in dropped:
            dropped.add(other)
        first, second = sorted((head(one), head(other)))
        family[second] = first
    found: dict[int, list[AbcScore]] = defaultdict(list)
    for n, score in enumerate(scores):
        if n not in dropped:
            found[head(n)].append(score)
    sizes = Counter(head(n) for n in range(len(scores)))
    log.info(
        "%d tunes, %d of them hardly differ from another, %d families (the largest has %d)",
        *(len(scores), len(dropped), len(sizes), max(sizes.values())),
    )
    return [*found.values()]


def _alike(
    scores: Sequence[AbcScore], title: Callable[[AbcScore], str]
) -> list[tuple[int, int, float]]:
    """Pairs of tunes of one family, and how much they share (0 where only the title)."""
    pairs = [_pairs_of_bars(score) for score in scores]
    where: dict[object, list[int]] = defaultdict(list)
    named: dict[str, list[int]] = defaultdict(list)
    for n, score in enumerate(scores):
        for pair in pairs[n]:
            where[pair].append(n)
        named[title(score)].append(n)
    shared: Counter[tuple[int, int]] = Counter()
    for numbers in where.values():
        if len(numbers) <= COMMONPLACE:
            shared.update((a, b) for a in numbers for b in numbers if a < b)
    found = []
    for (one, other), count in sorted(shared.items()):
        share = count / min(len(pairs[one]), len(pairs[other]))
        if share >= SAME_FAMILY:
            found.append((one, other, share))
    found += [(a, b, 0.0) for same in named.values() for a in same[:1] for b in same[1:]]
    return found


def _pairs_of_bars(score: AbcScore) -> set[tuple[str, str]]:
    """Bars by the scale steps of their notes, lengths and octaves left out, two by two."""
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
    texts = [
        text
        for path in paths
        for text in reader.tunes(path.read_text("latin-1"))
        if path.parent.name != "oneills1850" or _number(text) >= FIRST_DANCE
    ]
    return parse_cache.parse_all(_parse, texts, "tunes", chunk=32)


def _number(text: str) -> int:
    found = re.match(r"X: *(\d+)", text)
    return int(found[1]) if found else 0


def _parse(text: str) -> AbcScore | str:
    """A tune, or why it is none of ours."""
    title = re.search(r"(?m)^T:(.*)", text)
    name = re.split(r" *--|,? \(", title[1].strip())[0] if title else ""
    try:
        return reader.parse(text, re.sub(r"(?i)\b(the|a|an)\b|- *[a-z]+$", "", name).strip())
    except ValueError as why:
        return re.sub(r"'.*'", "...", re.sub(r"\d+(/\d+)?", "n", str(why)))


def _from_json(entry: dict[str, Any]) -> AbcScore:
    bar, pickup, steps, _, beat = entry["form"]
    return AbcScore(
        entry["name"], tuple(entry["signs"]), Key(*entry["key"]), Form(bar, pickup, steps, (), beat)
    )
