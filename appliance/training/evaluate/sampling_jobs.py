"""The jobs of ``make quality``: let a model compose, and prepare the pieces to compare with.

Each job runs in a process of its own, which imports only what it needs.
"""

from __future__ import annotations

import pickle
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.composing.programme import MAX_PIECE_STEPS
from appliance.music.events import PieceStart
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
from appliance.training.evaluate.job_cache import cached
from appliance.training.evaluate.likeness import COMPOSED_PIECES, MAX_REAL_PIECES, RealMeasures
from appliance.training.evaluate.page_measures import (
    PageMeasures,
    is_for_solo_strings,
    measure_page,
    measure_pieces,
)
from appliance.training.evaluate.pages import page_of, with_shuffled_bars

MEMORY_SAMPLES = 20

T = TypeVar("T")


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
        measures: of the pieces on the page; empty until they are measured.
        tempos_bpm: the tempo of each piece.
    """

    setting: SamplingSetting
    pieces: list[FinishedPiece]
    report: DefectReport
    interventions: dict[str, int]
    memory_mib: list[float]
    cpu_s: float
    measures: list[PageMeasures] = field(default_factory=list)
    tempos_bpm: list[float] = field(default_factory=list)

    @property
    def given_up_share(self) -> float:
        """The share of the pieces that the stall detector ended."""
        return self.report.given_up / max(1, len(self.report.pieces))


@dataclass
class ReferenceMusic:
    """The music to compare a model's music with: its corpus by split, and an n-gram's pieces."""

    corpus: dict[str, list[FinishedPiece]]
    ngram: list[FinishedPiece]
    measures: RealMeasures


def timed(function: Callable[..., T], *args: object, **kwargs: object) -> tuple[T, float]:
    """Return what a function returns, and the processor time that it took in seconds."""
    start_s = time.process_time()
    result = function(*args, **kwargs)
    return result, time.process_time() - start_s


def music_key(model: model_file.ModelFile) -> str:
    """What of a model decides about its music, apart from the code: its texts do not."""
    metadata = msgspec.structs.replace(
        model.metadata, title="", description="", licence="", temperature=1.0, top_p=1.0
    )
    return repr(metadata)


def compose_and_measure(
    path: Path, setting: SamplingSetting, pieces: int, seed: int, cache: Path
) -> ComposedMusic:
    """Compose, and measure every piece; what was composed before is read from ``cache``.

    Raises:
        UsageError: the setting is out of range.
        BachboxError: the model file cannot be loaded, or the runtime refuses the model.
        OSError: a file in ``cache`` or the spool file cannot be read or written.
    """

    def make() -> ComposedMusic:
        with tempfile.NamedTemporaryFile() as spool:
            music = compose(path, setting, pieces, seed, Path(spool.name))
            music.pieces = list(read_spool(Path(spool.name)))
        strings = is_for_solo_strings(model_file.load(path))
        music.measures, cpu_s = timed(measure_pieces, music.pieces, solo_strings=strings)
        music.cpu_s += cpu_s
        return music

    parts = (music_key(model_file.load(path)), setting, pieces, seed)
    return cached(cache, path.stem, parts, make)


def compose(
    path: Path, setting: SamplingSetting, pieces: int, seed: int, spool: Path
) -> ComposedMusic:
    """Compose pieces as they are printed, without repeats, and count defects.

    The pieces go to the file ``spool``, so that the memory of this process shows what the
    composer itself needs.

    Raises:
        UsageError: the setting is out of range.
        BachboxError: the model file cannot be loaded, or the runtime refuses the model.
        OSError: the spool file cannot be written.
    """
    start_s = time.process_time()
    model = model_file.load(path)
    composer = Composer(
        model,
        seed=seed,
        temperature=setting.temperature,
        top_p=setting.top_p,
        repeats=False,
    )
    tempos_bpm: list[float] = []
    counter = DefectCounter()
    peaks: list[tuple[float, float]] = []
    with spool.open("wb") as file:
        for piece, steps in islice(compose_pieces(composer), pieces):
            counter.add(piece, steps)
            start = steps[0].events[0]
            assert isinstance(start, PieceStart)
            tempos_bpm.append(start.piece.sounding_bpm(model.tempo_bpm))
            pickle.dump(piece, file)
            peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            peaks.append((counter.report.beats, peak_mib))
    beats_per_sample = counter.report.beats / MEMORY_SAMPLES
    memory_mib = [
        next((peak for beats, peak in peaks if beats >= n * beats_per_sample), peaks[-1][1])
        for n in range(1, MEMORY_SAMPLES + 1)
    ]
    cpu_s = time.process_time() - start_s
    return ComposedMusic(
        setting,
        [],
        counter.report,
        composer.interventions,
        memory_mib,
        cpu_s,
        tempos_bpm=tempos_bpm,
    )


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


def load_reference(path: Path, data: Path | None, build: Path, seed: int) -> ReferenceMusic:
    """The corpus of a model as pieces, and pieces by an n-gram that has learned it, measured.

    Args:
        path: of the model file, with its recipe beside it.
        data: the folder with scores that are not in music21, or None.
        build: a folder for parsed scores, and for the result, which is read from there the next
            time.
        seed: of the n-gram's pieces, and of the choice of training pieces.

    Raises:
        UsageError: the recipe or the scores are not there.
        BachboxError: the model file cannot be loaded.
        OSError: the cache in ``build`` cannot be read or written.
    """
    config = recipe.load(path.with_suffix(".toml")).corpus
    parts = (music_key(model_file.load(path)), config, data, seed)

    def make() -> ReferenceMusic:
        return _make_reference(path, data, build, seed)

    return cached(build / "quality", f"{path.stem}-reference", parts, make)


def _make_reference(path: Path, data: Path | None, build: Path, seed: int) -> ReferenceMusic:
    model = model_file.load(path)
    codec = model.codec
    corpus = load_corpus(recipe.load(path.with_suffix(".toml")), data, build)
    tokens = {
        split: [codec.encode(score)[1] for score in scores] for split, scores in corpus.items()
    }
    pieces = {
        split: [
            decode_piece(codec, piece_tokens, score.form, score.key, repeats=False)
            for piece_tokens, score in zip(tokens[split], scores, strict=True)
        ]
        for split, scores in corpus.items()
    }
    learned = ngram.ngram_in_c(codec, corpus["train"], tokens["train"])
    forms = [form for form in model.forms if form.steps <= MAX_PIECE_STEPS]
    rng = np.random.default_rng(seed)
    composed = []
    for _ in range(COMPOSED_PIECES):
        form = forms[int(rng.integers(len(forms)))]
        minor = bool(rng.integers(2)) if form.facts.minor is None else form.facts.minor
        piece_tokens = ngram.compose(learned, codec, form, minor=minor, rng=rng)
        piece = decode_piece(codec, piece_tokens, form, Key(0, minor), repeats=False)
        # Into a key of the corpus, so that it is not the key that gives the n-gram away.
        composed.append(piece.transposed(((form.facts.tonic or 0) + 5) % 12 - 5))
    strings = is_for_solo_strings(model)
    return ReferenceMusic(pieces, composed, measure_real(pieces, composed, rng, strings))


def measure_real(
    corpus: dict[str, list[FinishedPiece]],
    ngram_pieces: list[FinishedPiece],
    rng: np.random.Generator,
    solo_strings: bool,
) -> RealMeasures:
    """Measure all held-out pieces, a sample of the training pieces, and the controls.

    Test and training pieces together are at most ``MAX_REAL_PIECES``, or all test pieces and as
    many training pieces.
    """
    train, test = corpus["train"], corpus["test"]
    count = min(len(train), max(MAX_REAL_PIECES - len(test), len(test)))
    train = [train[number] for number in sorted(rng.choice(len(train), count, replace=False))]

    def measured(pieces: list[FinishedPiece]) -> list[PageMeasures]:
        return measure_pieces(pieces, solo_strings=solo_strings)

    shuffled = [
        measure_page(with_shuffled_bars(page_of(piece, ""), rng), solo_strings=solo_strings)
        for piece in (*test, *train)
        if piece.notes
    ]
    return RealMeasures(
        measured(train), measured(corpus["valid"]), measured(test), shuffled, measured(ngram_pieces)
    )
