"""The jobs of ``make quality``: let a model compose, and prepare the pieces to compare with.

Each job runs in a process of its own, which imports only what it needs.
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
from appliance.composing.composer import Composer
from appliance.composing.piece_plan import MAX_PIECE_STEPS
from appliance.music.score import Key
from appliance.training import recipe
from appliance.training.data.corpus import load_corpus
from appliance.training.evaluate import ngram
from appliance.training.evaluate.defects import DefectCounter, DefectReport
from appliance.training.evaluate.finished_pieces import (
    FinishedPiece,
    compose_pieces,
    decode_piece,
)

MEMORY_SAMPLES = 20


class SamplingSetting(NamedTuple):
    """Temperature and top-p of a composer."""

    temperature: float
    top_p: float


@dataclass
class ComposedMusic:
    """What one composer composed.

    Attributes:
        setting: temperature and top-p.
        pieces: empty until they are read from the spool file.
        report: the defects found.
        interventions: how often the stall detector stepped in, by the kind of stall.
        memory_mib: peak resident memory after each twentieth of the music.
        cpu_s: processor time that composing took.
    """

    setting: SamplingSetting
    pieces: list[FinishedPiece]
    report: DefectReport
    interventions: dict[str, int]
    memory_mib: list[float]
    cpu_s: float


@dataclass
class ReferenceMusic:
    """The music to compare a model's music with: its corpus by split, and an n-gram's pieces."""

    corpus: dict[str, list[FinishedPiece]]
    ngram: list[FinishedPiece]


class Amount(NamedTuple):
    """How much to compose: a number of pieces, or whole pieces until a number of beats."""

    pieces: int | None = None
    beats: float = float("inf")


def compose(
    path: Path, setting: SamplingSetting, amount: Amount, seed: int, spool: Path
) -> ComposedMusic:
    """Compose ``amount`` of music with the model file ``path``, and count defects.

    The pieces go to the file ``spool``, so that the memory of this process shows what the
    composer itself needs.

    Raises:
        UsageError: the setting is out of range.
        BachboxError: the model file cannot be loaded, or the runtime refuses the model.
        OSError: the spool file cannot be written.
    """
    start_s = time.process_time()
    composer = Composer(
        model_file.load(path), seed=seed, temperature=setting.temperature, top_p=setting.top_p
    )
    counter = DefectCounter()
    peaks: list[tuple[float, float]] = []
    with spool.open("wb") as file:
        for piece, steps in islice(compose_pieces(composer), amount.pieces):
            counter.add(piece, steps)
            pickle.dump(piece, file)
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            peaks.append((counter.report.beats, peak_mib))
            if counter.report.beats >= amount.beats:
                break
    beats_per_sample = counter.report.beats / MEMORY_SAMPLES
    memory_mib = [
        next(peak for beats, peak in peaks if beats >= n * beats_per_sample)
        for n in range(1, MEMORY_SAMPLES + 1)
    ]
    cpu_s = time.process_time() - start_s
    return ComposedMusic(setting, [], counter.report, composer.interventions, memory_mib, cpu_s)


def read_spool(spool: Path) -> Iterator[FinishedPiece]:
    """The pieces in a file that :func:`compose` wrote.

    Raises:
        OSError: the file cannot be read.
    """
    with spool.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return


def load_reference(
    path: Path, data: Path | None, build: Path, ngram_pieces: int, seed: int
) -> ReferenceMusic:
    """The corpus of a model as pieces, and pieces by an n-gram that has learned it.

    Args:
        path: of the model file, with its recipe beside it.
        data: the folder with scores that are not in music21, or None.
        build: a folder for parsed scores.
        ngram_pieces: how many pieces the n-gram composes.
        seed: of the n-gram's pieces.

    Raises:
        UsageError: the recipe or the scores are not there.
        BachboxError: the model file cannot be loaded.
        OSError: the cache in ``build`` cannot be read or written.
    """
    model = model_file.load(path)
    codec = model.codec
    corpus = load_corpus(recipe.load(path.with_suffix(".toml")), data, build)
    tokens = {
        split: [codec.encode(score)[1] for score in scores] for split, scores in corpus.items()
    }
    pieces = {
        split: [
            decode_piece(codec, piece_tokens, score.form, score.key)
            for piece_tokens, score in zip(tokens[split], scores, strict=True)
        ]
        for split, scores in corpus.items()
    }
    learned = ngram.ngram_in_c(codec, corpus["train"], tokens["train"])
    forms = [form for form in model.forms if form.steps <= MAX_PIECE_STEPS]
    rng = np.random.default_rng(seed)
    composed = []
    for _ in range(ngram_pieces):
        form, minor = forms[int(rng.integers(len(forms)))], bool(rng.integers(2))
        piece_tokens = ngram.compose(learned, codec, form, minor=minor, rng=rng)
        composed.append(decode_piece(codec, piece_tokens, form, Key(0, minor)))
    return ReferenceMusic(pieces, composed)
