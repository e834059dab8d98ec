"""No tune that is held out has a variant in training."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.score import Form, Key
from appliance.training.data import folk_corpus


def tune(number: int, name: str, *, changed: int = 0) -> AbcScore:
    """A made-up tune of 16 bars, so many of them unlike the tune's of that number."""
    dice, other = random.Random(number), random.Random(-number - 1)
    bars = ["".join(dice.choices("CDEFGABcdefg", k=8)) for _ in range(16)]
    for bar in range(changed):
        bars[bar] = "".join(other.choices("CDEFGABcdefg", k=8))
    signs = ["major", *(sign for bar in bars for sign in (*bar, "|"))][:-1]
    return AbcScore(name, tuple(signs), Key(0, minor=False), Form(16, 0, 256))


def letters(number: int) -> str:
    """A number as a title: titles are told apart by their letters."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


BOOK = [tune(number, f"tune {letters(number)}") for number in range(200)]


def test_every_tune_is_in_one_split_whatever_the_order() -> None:
    found = folk_corpus.split(BOOK)
    assert sum(map(len, found.values())) == 200
    assert 2 <= len(found["test"]) <= 25
    assert 2 <= len(found["valid"]) <= 25
    shuffled = folk_corpus.split(random.Random(1).sample(BOOK, 200))
    assert shuffled == found


def test_a_variant_is_on_its_tunes_side() -> None:
    variants = [tune(number, f"otherwise {letters(number)}", changed=8) for number in range(200)]
    namesakes = [tune(1000 + number, f"Tune {letters(number)}!") for number in range(0, 200, 7)]
    found = folk_corpus.split([*BOOK, *variants, *namesakes])
    assert sum(map(len, found.values())) == 400 + len(namesakes)
    sides = {
        (score.name.rstrip("!").split()[-1], split)
        for split, scores in found.items()
        for score in scores
    }
    assert len(sides) == 200, "of every tune all variants are on one side"


def test_of_two_that_hardly_differ_one_is_kept() -> None:
    copies = [tune(number, f"copy {letters(number)}", changed=2) for number in range(200)]
    assert sum(map(len, folk_corpus.split([*BOOK, *copies]).values())) == 200


def test_a_damaged_cache_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tunes.json"
    path.write_text('[{"name": "half a tune"}]')
    with pytest.raises(UsageError, match="damaged; delete it"):
        folk_corpus.tunes(path)
