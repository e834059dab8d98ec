"""From a recipe to a model file: train, convert, evaluate, write."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES, runtime
from appliance.composing.model_file import KindTemperature, ModelFile
from appliance.errors import BachboxError
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training.convert.model_card import figures_in_card
from appliance.training.data.corpus import PRETRAIN, Corpus, codec_for
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.evaluate.ngram import evaluate_ngram
from appliance.training.recipe import Recipe, TrainedModel

log = logging.getLogger(__name__)

NOT_CALIBRATED = "float, not calibrated"
"""Marks the figure of the network before its conversion."""
WHAT_IS_SCORED = {
    FourPartCodec.name: "the notes of all four voices",
    FreeRhythmCodec.name: "start, pitch and duration of every note",
    AbcCodec.name: "the text of the tune in C, with mode and bar lines",
}
"""By the name of the codec, for the card."""


def make_model(recipe: Recipe, corpus: Corpus, folder: Path, path: Path) -> None:
    """Train a model, convert, calibrate and evaluate it, and write its file and card.

    A training that was stopped is resumed.

    Args:
        recipe: how to make it.
        corpus: the pieces, split.
        folder: for checkpoints and intermediate files.
        path: of the model file; the card is written beside it.

    Raises:
        UsageError: the recipe's ``warm_start`` cannot be used.
        BachboxError: the new model does not run here.
        OSError: a checkpoint, the model file or the card cannot be written.
        ValueError: there are no training pieces, or one has no notes.
        RuntimeError: a checkpoint in ``folder`` is of a network of another size.
    """
    # These take seconds and hundreds of megabytes to import, and evaluation needs none of them.
    from appliance.training.convert.calibration import calibration_samples
    from appliance.training.convert.export_tflite import to_int8_tflite
    from appliance.training.convert.kind_temperatures import fit_kind_temperatures
    from appliance.training.convert.write_model_file import write_model_file
    from appliance.training.evaluate.float_likelihood import model_nll_per_unit
    from appliance.training.trainer import train

    codec, scores = codec_for(recipe, corpus), corpus["train"]
    pretrain_scores = corpus.get(PRETRAIN, [])
    ensemble = [
        train(recipe, codec, scores, corpus["valid"], folder, member, pretrain_scores)
        for member in range(1, recipe.network.ensemble_size + 1)
    ]
    trained = TrainedModel(recipe, ensemble)
    log.info("converting to int8; this takes a minute or two")
    flatbuffer = to_int8_tflite(trained, codec, calibration_samples(trained, codec, scores))
    unevaluated = folder / path.name
    write_model_file(recipe, codec, flatbuffer, scores, "", unevaluated)
    temperatures = fit_kind_temperatures(model_file.load(unevaluated), corpus["valid"])
    write_model_file(recipe, codec, flatbuffer, scores, "", unevaluated, temperatures)
    nll = model_nll_per_unit(trained, codec, corpus["test"])
    figures = [f"{nll:.4f} nats per {codec.unit}, {NOT_CALIBRATED}"]
    figures += evaluate(unevaluated, corpus)
    evaluation = evaluation_text(codec, len(corpus["test"]), figures)
    write_model_file(recipe, codec, flatbuffer, scores, evaluation, path, temperatures)
    path.with_suffix(".md").write_text(model_file.load(path).card)
    log.info("%s\n%s", path, "\n".join(figures))


def evaluate(path: Path, corpus: Corpus) -> list[str]:
    """The likelihood of the test pieces: a line for each installed runtime, and one for an n-gram.

    Raises:
        BachboxError: the model file cannot be loaded.
    """
    lines = []
    codec = model_file.load(path).codec
    for name in installed_runtimes():
        os.environ[RUNTIME_VARIABLE] = name
        nll = nll_per_unit(model_file.load(path), corpus["test"])
        lines.append(f"{nll:.4f} nats per {codec.unit}, int8 on {name}")
    os.environ.pop(RUNTIME_VARIABLE, None)
    n, nll = evaluate_ngram(
        codec, corpus["train"], corpus["valid"], corpus["test"], corpus.get(PRETRAIN, [])
    )
    lines.append(f"{nll:.4f} nats per {codec.unit}, {n}-gram with back-off")
    return lines


def installed_runtimes() -> list[str]:
    """The names of the TensorFlow Lite runtimes that are installed."""
    names = []
    for name in RUNTIMES:
        os.environ[RUNTIME_VARIABLE] = name
        try:
            names.append(runtime()[0])
        except BachboxError:
            log.info("%s is not installed, so the model is not evaluated on it", name)
    del os.environ[RUNTIME_VARIABLE]
    return names


def evaluation_text(codec: Codec, test_count: int, figures: Sequence[str]) -> str:
    """The text of a card about the figures, one line of a list for each."""
    return (
        f"The negative log-likelihood of {test_count} whole test pieces, which were not in "
        f"training in any key ({WHAT_IS_SCORED[codec.name]}); less is better.\n\n"
        + "\n".join(f"- {figure}" for figure in figures)
    )


def update_card(recipe: Recipe, corpus: Corpus, path: Path) -> None:
    """Write the metadata and the card again from the recipe; weights and figures stay.

    Raises:
        BachboxError: the model file cannot be loaded.
        OSError: it cannot be written.
    """
    model = model_file.load(path)
    figures = figures_in_card(model.card)
    _update(recipe, corpus, model, figures, model.metadata.kind_temperatures, path)


def calibrate(recipe: Recipe, corpus: Corpus, path: Path) -> list[str]:
    """Fit the temperatures of the kinds of token on the valid pieces, and evaluate again.

    They are written into the model file; weights, recipe and the n-gram's figure stay.

    Returns:
        The lines of the card's evaluation.

    Raises:
        BachboxError: the model file cannot be loaded, or the runtime refuses the model.
        OSError: it cannot be written.
    """
    from appliance.training.convert.kind_temperatures import fit_kind_temperatures

    model = model_file.load(path)
    temperatures = fit_kind_temperatures(model, corpus["valid"])
    figures = [
        figure
        if NOT_CALIBRATED in figure
        else figure.replace(f"{model.codec.unit}, float", f"{model.codec.unit}, {NOT_CALIBRATED}")
        for figure in figures_in_card(model.card)
        if ", int8" not in figure
    ]
    _update(recipe, corpus, model, figures, temperatures, path)
    calibrated = model_file.load(path)
    nll = nll_per_unit(calibrated, corpus["test"])
    figures.insert(1, f"{nll:.4f} nats per {model.codec.unit}, int8 on {runtime()[0]}")
    _update(recipe, corpus, model, figures, temperatures, path)
    return figures


def teach_model(recipe: Recipe, corpus: Corpus, folder: Path, path: Path) -> list[str]:
    """Teach a model what a critic prefers, see :mod:`.preferences.teach`, and evaluate it again.

    Args:
        recipe: says how.
        corpus: the pieces, split.
        folder: for intermediate files.
        path: of the model file.

    Returns:
        A line about each round, and those of the card's evaluation.

    Raises:
        UsageError: the model averages several networks.
        BachboxError: a model file cannot be loaded, or the runtime refuses it.
        OSError: a file cannot be written.
    """
    from appliance.training.preferences.teach import teach

    kept, rounds = teach(recipe, corpus, folder, path)
    if not kept:
        return rounds
    recipe.preferences.rounds = kept
    model = model_file.load(path)
    unit, nll = model.codec.unit, nll_per_unit(model, corpus["test"])
    figures = [f"{nll:.4f} nats per {unit}, int8 on {runtime()[0]}"]
    # Those of other networks stay.
    figures += [
        figure
        for figure in figures_in_card(model.card)
        if ", int8" not in figure and not figure.endswith(NOT_CALIBRATED)
    ]
    # The calibration stays: a taught network would be flattened by a new one.
    _update(recipe, corpus, model, figures, model.metadata.kind_temperatures, path)
    return [*rounds, *figures]


def correct_model(recipe: Recipe, corpus: Corpus, path: Path) -> list[str]:
    """Fit a model's corrections, see :mod:`.corrections`, and write them into its file.

    Returns:
        A line about each round.

    Raises:
        BachboxError: the model file cannot be loaded, or the runtime refuses it.
        OSError: it cannot be written.
    """
    from appliance.training.convert.write_model_file import write_corrections
    from appliance.training.corrections import correct

    corrections, rounds = correct(recipe.corrections, corpus, path)
    write_corrections(path, corrections)
    return rounds


def _update(
    recipe: Recipe,
    corpus: Corpus,
    model: ModelFile,
    figures: Sequence[str],
    temperatures: Sequence[KindTemperature],
    path: Path,
) -> None:
    """Write metadata and card of a model again; its weights and forms stay."""
    from appliance.training.convert.write_model_file import update_model_file

    evaluation = evaluation_text(model.codec, len(corpus["test"]), figures)
    update_model_file(recipe, path, len(corpus["train"]), evaluation, temperatures)
    path.with_suffix(".md").write_text(model_file.load(path).card)
