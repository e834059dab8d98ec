"""``make teach``: a finished model learns to prefer what a critic takes for real music.

In each round the model composes with a choice among candidates for every bar; a critic that was
trained on the model's own music chooses. From the best and the worst candidates of each prefix the
network learns to compose so by itself, at no cost when it plays. A round is kept only if less gives
the music away and nothing is lost for it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from appliance.common.atomic_write import write_atomically
from appliance.composing import model_file
from appliance.composing.model_file import ModelFile
from appliance.errors import UsageError
from appliance.music.codecs.base import Codec
from appliance.training.convert.calibration import calibration_samples
from appliance.training.convert.export_tflite import to_int8_tflite
from appliance.training.convert.write_model_file import with_other_weights
from appliance.training.data.batches import PieceSampler
from appliance.training.data.corpus import Corpus, training_scores
from appliance.training.evaluate.finished_pieces import FinishedPiece, decode_piece
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.evaluate.job_cache import cached
from appliance.training.evaluate.likeness import MIN_DIVERSITY, RealMeasures, diversity, valid_auc
from appliance.training.evaluate.originality import SharedRuns
from appliance.training.evaluate.page_measures import (
    is_for_solo_strings,
    measure_pieces,
)
from appliance.training.evaluate.sampling_jobs import SamplingSetting, compose_and_measure
from appliance.training.networks.factory import load_weights, make_network
from appliance.training.networks.warm_start import networks_from_tflite
from appliance.training.preferences.candidates import Candidates, Chooser
from appliance.training.preferences.copies import LIMIT_PERCENTILE, CopyGuard
from appliance.training.preferences.critic import Critic
from appliance.training.preferences.optimise import optimise
from appliance.training.preferences.pairs import pairs_of
from appliance.training.recipe import Recipe, TrainedModel, Weights
from appliance.training.trainer import chunks_for

log = logging.getLogger(__name__)

JUDGED_PIECES = 32
"""Composed without a choice in each round, for its figures and the next critic."""
DEFAULT_ROUNDS = 3
"""For a recipe that does not say how many."""
MAX_NLL_RISE = 1.02


@dataclass
class Outcome:
    """What a model composes.

    Attributes:
        pieces: without a choice.
        auc: how well logistic regression tells 8 bars of them from the valid pieces.
        diversity: how much they differ from one another, over how much real ones do.
        shared_run: the longest run in notes shared with the corpus, as the 95th percentile.
        nll: of the valid pieces, in nats per unit.
    """

    pieces: list[FinishedPiece]
    auc: float
    diversity: float
    shared_run: float
    nll: float

    def __str__(self) -> str:
        return (
            f"AUC of 8 bars {self.auc:.3f} (regression, {len(self.pieces)} pieces), diversity "
            f"{self.diversity:.2f}, shared run {self.shared_run:.0f}, valid {self.nll:.4f} nats"
        )


class Teacher:
    """Teaches one model.

    Args:
        recipe: how.
        corpus: the pieces, split.
        model: the model file, as it was before.
        folder: for what takes long: music, candidates and the models of the rounds. What is there
            is not made again.
    """

    def __init__(self, recipe: Recipe, corpus: Corpus, model: ModelFile, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._recipe, self._config, self._corpus = recipe, recipe.preferences, corpus
        self._folder = folder
        self._codec: Codec = model.codec
        self._pieces = {split: self._decoded(corpus[split]) for split in ("train", "valid")}
        seen = self._decoded(training_scores(corpus))
        self._guard = CopyGuard(seen, self._pieces["valid"])
        self._runs = SharedRuns([piece.notes for piece in seen])
        self._real_run = self._shared_run(self._pieces["valid"])
        strings = is_for_solo_strings(model)
        train, valid = (
            measure_pieces(self._pieces[split], solo_strings=strings)
            for split in ("train", "valid")
        )
        self._real = RealMeasures(train, valid, test=[], shuffled=[], ngram=[])

    def _decoded(self, scores: Sequence[Any]) -> list[FinishedPiece]:
        codec = self._codec
        return [
            decode_piece(codec, codec.encode(score)[1], score.form, score.key, repeats=False)
            for score in scores
        ]

    def _shared_run(self, pieces: Sequence[FinishedPiece]) -> float:
        runs = [self._runs.longest(piece.notes) for piece in pieces]
        return float(np.percentile(runs, LIMIT_PERCENTILE))

    def outcome(self, path: Path, number: int) -> Outcome:
        """Compose with the model of a round, and judge it.

        Raises:
            BachboxError: the model file cannot be loaded, or the runtime refuses it.
            OSError: a file in the folder cannot be read or written.
        """
        model = model_file.load(path)
        setting = SamplingSetting(model.temperature, model.top_p)
        seed = 1000 * self._config.seed + number
        music = compose_and_measure(path, setting, JUDGED_PIECES, seed, self._folder)
        return Outcome(
            pieces=music.pieces,
            auc=valid_auc(self._real, music.measures),
            diversity=diversity([*self._real.valid, *self._real.train], music.measures),
            shared_run=self._shared_run(music.pieces),
            nll=nll_per_unit(model, self._corpus["valid"]),
        )

    def fault(self, outcome: Outcome, now: Outcome, before: Outcome) -> str:
        """Return why a round is not kept, "" if it is.

        Args:
            outcome: of the round.
            now: of the best one so far.
            before: of the model before its first round.
        """
        if outcome.auc >= now.auc:
            return "no gain"
        if outcome.diversity < MIN_DIVERSITY:
            return f"a diversity below {MIN_DIVERSITY}"
        if outcome.nll > before.nll * MAX_NLL_RISE:
            return f"more than {MAX_NLL_RISE} times the nats"
        if outcome.shared_run > self._real_run:
            return f"it copies more than real pieces, which share {self._real_run:.0f} notes"
        return ""

    def candidates(
        self, path: Path, composed: Sequence[FinishedPiece], number: int
    ) -> list[Candidates]:
        """Compose with a choice; each piece is kept in the folder as soon as it is there.

        Args:
            path: of the model file.
            composed: music of the model so far, which the critic learns to tell from real music.
            number: of the round.

        Raises:
            BachboxError: the model file cannot be loaded, or the runtime refuses it.
            OSError: a file in the folder cannot be read or written.
        """
        model, config = model_file.load(path), self._config
        critic = Critic(self._pieces["train"], composed)
        found: list[Candidates] = []
        for piece in range(config.pieces):
            seed = 100_000 * config.seed + 1000 * number + piece

            def compose(seed: int = seed) -> list[Candidates]:
                return Chooser(model, critic, self._guard, config.candidates, seed).compose()

            parts = (model.metadata.sha256, config.candidates, seed)
            found += cached(self._folder, f"candidates-{number}", parts, compose)
            log.info("round %d: %d of %d pieces", number, piece + 1, config.pieces)
        return found

    def taught(self, path: Path, choices: Sequence[Candidates], number: int) -> Weights:
        """The weights after a round's pairs, float32 by name.

        Raises:
            UsageError: the model averages several networks.
            BachboxError: the model file cannot be loaded.
        """
        config, codec = self._config, self._codec
        torch.manual_seed(config.seed)
        ensemble = networks_from_tflite(model_file.load(path).flatbuffer)
        if len(ensemble) > 1:
            raise UsageError(f"{path} averages {len(ensemble)} networks; only one can be taught")
        network = make_network(self._recipe.network, codec, self._recipe.training.dropout)
        load_weights(network, ensemble[0])
        pairs = pairs_of(choices, config.min_advantage)
        log.info("round %d: %d pairs from %d prefixes", number, len(pairs), len(choices))
        rng = np.random.default_rng([config.seed, number])
        sampler = PieceSampler(codec, self._corpus["train"])
        ordinary = chunks_for(self._recipe, codec, sampler, rng)
        optimise(network, pairs, ordinary, config, rng)
        return {name: value.numpy() for name, value in network.state_dict().items()}

    def convert(self, weights: Weights, start: Path, path: Path) -> None:
        """Write a model file that differs from ``start`` in its weights alone.

        Raises:
            OSError: a file cannot be read or written.
        """
        trained = TrainedModel(self._recipe, [weights])
        samples = calibration_samples(trained, self._codec, self._corpus["train"])
        flatbuffer = to_int8_tflite(trained, self._codec, samples)
        with_other_weights(start, flatbuffer, path)


def teach(recipe: Recipe, corpus: Corpus, folder: Path, path: Path) -> tuple[int, list[str]]:
    """Teach the model in a file, in rounds, and replace its weights by the best round's.

    Its forms, texts and settings stay. A run that was stopped continues where it was.

    Args:
        recipe: says how, in ``preferences``.
        corpus: the pieces, split.
        folder: for intermediate files.
        path: of the model file.

    Returns:
        How many rounds are kept, and a line about each.

    Raises:
        UsageError: the model averages several networks.
        BachboxError: a model file cannot be loaded, or the runtime refuses it.
        OSError: a file cannot be written.
    """
    model = model_file.load(path)
    folder = folder / model.metadata.sha256[:12]
    teacher = Teacher(recipe, corpus, model, folder)
    before, best = teacher.outcome(path, 0), path
    lines = [f"before: {before}"]
    log.info(lines[0])
    known, now, kept = before.pieces, before, 0
    for number in range(1, (recipe.preferences.rounds or DEFAULT_ROUNDS) + 1):
        after = folder / f"round-{number}{model_file.SUFFIX}"
        if not after.is_file():
            choices = teacher.candidates(best, known, number)
            teacher.convert(teacher.taught(best, choices, number), best, after)
        outcome = teacher.outcome(after, number)
        fault = teacher.fault(outcome, now, before)
        lines.append(f"round {number}: {outcome}{fault and f'; not kept: {fault}'}")
        log.info(lines[-1])
        if fault:
            break
        best, now, known, kept = after, outcome, [*known, *outcome.pieces], number
    if best != path:
        write_atomically(path, best.read_bytes())
    return kept, lines
