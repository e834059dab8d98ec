"""No held-out tune has a variant among the training tunes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.score import Form, Key
from appliance.training.data import folk_corpus


def tune(number: int, name: str, *, changed: int = 0) -> AbcScore:
    """An invented tune of 16 bars; the first ``changed`` bars are not those of that number."""
    rng, other = random.Random(number), random.Random(-number - 1)
    bars = ["".join(rng.choices("CDEFGABcdefg", k=8)) for _ in range(16)]
    for bar in range(changed):
        bars[bar] = "".join(other.choices("CDEFGABcdefg", k=8))
    symbols = ["major", *(symbol for bar in bars for symbol in (*bar, "|"))][:-1]
    return AbcScore(name, tuple(symbols), Key(0, minor=False), Form(16, 0, 256))


def letters(number: int) -> str:
    """A number as a title, because titles are compared by their letters."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


BOOK = [tune(number, f"tune {letters(number)}") for number in range(200)]


def test_the_split_does_not_depend_on_the_order() -> None:
    splits = folk_corpus.split(BOOK)
    assert sum(map(len, splits.values())) == 200
    assert 2 <= len(splits["test"]) <= 25
    assert 2 <= len(splits["valid"]) <= 25
    shuffled = folk_corpus.split(random.Random(1).sample(BOOK, 200))
    assert shuffled == splits


def test_variants_of_a_tune_are_in_one_split() -> None:
    variants = [tune(number, f"otherwise {letters(number)}", changed=8) for number in range(200)]
    namesakes = [tune(1000 + number, f"Tune {letters(number)}!") for number in range(0, 200, 7)]
    splits = folk_corpus.split([*BOOK, *variants, *namesakes])
    assert sum(map(len, splits.values())) == 400 + len(namesakes)
    splits_of_titles = {
        (score.name.rstrip("!").split()[-1], split)
        for split, scores in splits.items()
        for score in scores
    }
    assert len(splits_of_titles) == 200, "all variants of a tune are in one split"


def test_of_near_duplicates_one_is_kept() -> None:
    copies = [tune(number, f"copy {letters(number)}", changed=2) for number in range(200)]
    assert sum(map(len, folk_corpus.split([*BOOK, *copies]).values())) == 200


def test_a_damaged_cache_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tunes.json"
    path.write_text('[{"name": "half a tune"}]')
    with pytest.raises(UsageError, match="damaged; delete it"):
        folk_corpus.load(path)
