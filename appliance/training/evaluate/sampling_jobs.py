"""The jobs of ``make quality``: to let a model compose and listen, to hear its corpus.

Each runs in a process of its own, which has nothing to import that it does not need.
"""

from __future__ import annotations

import pickle
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from appliance.composing import model_file
from appliance.composing.composer import MAX_PIECE_STEPS, Composer
from appliance.music.score import Key
from appliance.training import recipe
from appliance.training.__main__ import scores_for
from appliance.training.evaluate import ngram
from appliance.training.evaluate.defects import Listener, Report
from appliance.training.evaluate.finished_pieces import Heard, composed, told


class Setting(NamedTuple):
    """Where the knobs stand."""

    temperature: float
    top_p: float


@dataclass
class Music:
    """What one composer composed."""

    setting: Setting
    pieces: list[Heard]
    report: Report
    cures: dict[str, int]
    memory_mib: list[float]
    """Peak resident memory after every twentieth of the music."""
    seconds: float
    """Of processor time."""


@dataclass
class Studied:
    """The pieces that a model's music is held against, by split, and an n-gram's."""

    pieces: dict[str, list[Heard]]
    ngram: list[Heard]


class Amount(NamedTuple):
    """How much music: so many pieces, or whole pieces up to so many beats."""

    pieces: int | None = None
    beats: float = float("inf")


def compose(path: Path, setting: Setting, amount: Amount, seed: int, spool: Path) -> Music:
    """Compose and listen; the pieces go to the file ``spool``, so that memory can stay flat."""
    began = time.process_time()
    composer = Composer(
        model_file.load(path), seed=seed, temperature=setting.temperature, top_p=setting.top_p
    )
    listener = Listener()
    peaks: list[tuple[float, float]] = []
    with spool.open("wb") as file:
        for piece, steps in islice(composed(composer), amount.pieces):
            listener.hear(piece, steps)
            pickle.dump(piece, file)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            peaks.append((listener.report.beats, peak))
            if listener.report.beats >= amount.beats:
                break
    whole = listener.report.beats
    memory = [next(p for beats, p in peaks if beats >= n * whole / 20) for n in range(1, 21)]
    seconds = time.process_time() - began
    return Music(setting, [], listener.report, composer.cures, memory, seconds)


def spooled(spool: Path) -> Iterator[Heard]:
    """The pieces in a file of :func:`compose`."""
    with spool.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return


def study(path: Path, data: Path | None, build: Path, pieces: int, seed: int) -> Studied:
    """Hear the corpus, and let an n-gram that has learnt it compose."""
    model = model_file.load(path)
    scores = scores_for(recipe.load(path.with_suffix(".toml")), data, build)
    tokens = {
        split: [model.codec.encode(score)[1] for score in some] for split, some in scores.items()
    }
    heard = {
        split: [
            told(model.codec, said, score.form, score.key)
            for said, score in zip(tokens[split], some, strict=True)
        ]
        for split, some in scores.items()
    }
    counted = ngram.composer(model.codec, scores["train"], tokens["train"])
    forms = [form for form in model.forms if form.steps <= MAX_PIECE_STEPS]
    dice = np.random.default_rng(seed)
    written = []
    for _ in range(pieces):
        form, minor = forms[int(dice.integers(len(forms)))], bool(dice.integers(2))
        said = ngram.compose(counted, model.codec, form, minor=minor, dice=dice)
        written.append(told(model.codec, said, form, Key(0, minor)))
    return Studied(heard, written)
