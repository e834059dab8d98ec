"""A model trained on a user's scores: ``bachbox train FOLDER --name telemann``."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from appliance.audio.silence_stderr import silence_stderr
from appliance.common.atomic_write import write_atomically
from appliance.composing import model_file
from appliance.composing.model_check import try_model
from appliance.errors import UsageError
from appliance.music.codecs.base import Codec
from appliance.state import general_midi
from appliance.training.custom_recipe import Report, Request, counted, plan_training
from appliance.training.data.score_folder import NotEnoughMusicError, ScoreFolder, read_folder
from appliance.training.evaluate.int8_likelihood import nll_per_unit
from appliance.training.evaluate.ngram import evaluate_ngram
from appliance.training.recipe import Recipe, TrainedModel

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MAX_SKIPPED_SHOWN = 50
LITTLE_MUSIC_NOTES = 30_000
"""With fewer notes it pays to start from a shipped model."""
SHIPPED_STARTS = {"lines": "keyboard", "abc": "folk"}
"""A shipped model to start from, by the name of the codec."""


class Result(NamedTuple):
    """A finished model file, and the likelihood of the test pieces in nats per unit."""

    path: Path
    nll: float
    ngram_nll: float


def check_name(name: str, existing: Sequence[Path], target: Path) -> None:
    """Check that a new model can have this name.

    Args:
        name: for the model.
        existing: all model files.
        target: the new model file; an existing one is the user's own and may be replaced.

    Raises:
        UsageError: the name is not valid, or another model has it.
    """
    if not NAME.fullmatch(name) or name.endswith(model_file.COMPILED_SUFFIX):
        raise UsageError(
            f"--name {name!r}: a name has at most 40 letters, digits, '-' and '_', starts with "
            f"a letter or digit and does not end in {model_file.COMPILED_SUFFIX!r}"
        )
    other = next((path for path in existing if path.stem == name and path != target), None)
    if other is not None:
        raise UsageError(f"--name {name}: {other} has this name already; choose another name")


def working_folder(name: str) -> Path:
    """Where the checkpoints of a user's model are until it is finished.

    Source of the folder: the XDG Base Directory Specification.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bachbox" / "training" / name


def train_on_folder(request: Request, target: Path, report: Report) -> Result:
    """Make a model file from a folder of scores.

    A training that was stopped is resumed from its last checkpoint by the same call.

    Args:
        request: what the user asked for; conversion and evaluation come on top of its minutes.
        target: the model file to write.
        report: shows one line to the user.

    Raises:
        UsageError: the folder does not exist, its music is not enough, or the model to start from
            is for other music.
        BachboxError: the new model does not run here, or the one to start from cannot be loaded.
        OSError: a file in the working folder, or the model file, cannot be read or written.
    """
    folder = working_folder(request.name)
    folder.mkdir(parents=True, exist_ok=True)
    report(f"Reading {request.source}")
    try:
        scores = read_folder(request.source, folder / "scores.json")
    except NotEnoughMusicError as error:
        _report_skipped(error.skipped, report)
        raise
    _report_skipped(scores.skipped, report)
    _report_skipped(scores.notices, report, "Used, but not as written")
    sizes = {split: len(pieces) for split, pieces in scores.corpus.items()}
    report(
        f"{counted(sum(sizes.values()), 'piece')} with {scores.note_count} notes: "
        f"{sizes['train']} for training, {sizes['valid']} for validation, {sizes['test']} for the "
        "final test."
    )
    if request.start is None and scores.note_count < LITTLE_MUSIC_NOTES:
        report(
            "That is little to learn from alone. With --from "
            f"{SHIPPED_STARTS[scores.format.codec_name]} the training starts from what a shipped "
            "model has learned."
        )
    codec = _make_codec(request, scores)
    recipe = plan_training(request, codec, scores, folder, report)
    return _make_model(recipe, codec, scores, folder, target, report)


def _report_skipped(
    entries: Sequence[tuple[str, str]], report: Report, title: str = "Skipped"
) -> None:
    """Report names of pieces with their reasons, under a title with their number."""
    if entries:
        report(f"{title} ({len(entries)}):")
    for name, reason in entries[:MAX_SKIPPED_SHOWN]:
        report(f"  {name}: {reason}")
    if len(entries) > MAX_SKIPPED_SHOWN:
        reasons = Counter(reason for _, reason in entries[MAX_SKIPPED_SHOWN:])
        report(
            f"  and {len(entries) - MAX_SKIPPED_SHOWN} more, most often because: "
            f"{reasons.most_common(1)[0][0]}"
        )


def _make_codec(request: Request, scores: ScoreFolder) -> Codec:
    if request.start is not None:
        return _codec_of_start(request.start, scores)
    # Held-out pieces are included: range and durations say nothing about single notes.
    everything = [score for split in scores.corpus.values() for score in split]
    try:
        return scores.format.make_codec(everything)
    except ValueError as error:
        raise UsageError(f"{request.source}: its music cannot be encoded ({error})") from error


def _codec_of_start(start: Path, scores: ScoreFolder) -> Codec:
    """The codec of the model to start from: its weights are of no use for another one."""
    model = model_file.load(start)
    if model.metadata.codec.name != scores.format.codec_name:
        raise UsageError(
            f"--from {model.name}: it composes another kind of music than {scores.format.title} "
            f"hold; {SHIPPED_STARTS[scores.format.codec_name]} would do"
        )
    if not any(model.codec.transpositions(score) for score in scores.corpus["train"]):
        raise UsageError(f"--from {model.name}: no piece is in its range in any key")
    return model.codec


def _make_model(
    recipe: Recipe, codec: Codec, scores: ScoreFolder, folder: Path, target: Path, report: Report
) -> Result:
    """Train, convert and evaluate a model, and put its file and its card in place."""
    from appliance.training.convert.calibration import calibration_samples
    from appliance.training.convert.export_tflite import to_int8_tflite
    from appliance.training.convert.kind_temperatures import fit_kind_temperatures
    from appliance.training.convert.write_model_file import write_model_file
    from appliance.training.trainer import train

    corpus = scores.corpus
    weights = train(recipe, codec, corpus["train"], corpus["valid"], folder)
    trained = TrainedModel(recipe, [weights])
    report("Converting to int8, which takes a minute or two")
    with silence_stderr():
        samples = calibration_samples(trained, codec, corpus["train"])
        flatbuffer = to_int8_tflite(trained, codec, samples)
    path = folder / target.name
    write_model_file(recipe, codec, flatbuffer, corpus["train"], "", path)
    try_model(path)
    temperatures = fit_kind_temperatures(model_file.load(path), corpus["valid"])
    write_model_file(recipe, codec, flatbuffer, corpus["train"], "", path, temperatures)
    report("Evaluating on the pieces that it has not seen")
    nll = nll_per_unit(model_file.load(path), corpus["test"])
    n, ngram_nll = evaluate_ngram(codec, corpus["train"], corpus["valid"], corpus["test"])
    figures = [
        f"{nll:.3f} nats per {codec.unit}: the model file, int8",
        f"{ngram_nll:.3f} nats per {codec.unit}: a {n}-gram, for comparison",
    ]
    verdict = _verdict(nll, ngram_nll)
    lines = "\n".join(f"- {figure}" for figure in figures)
    test_pieces = counted(len(corpus["test"]), "test piece")
    evaluation = f"On {test_pieces}, in no key part of the training (less is better):\n\n{lines}"
    evaluation += f"\n\n{verdict}"
    write_model_file(recipe, codec, flatbuffer, corpus["train"], evaluation, path, temperatures)
    _install(path, target)
    for figure in figures:
        report(f"  {figure}")
    report(verdict)
    report(
        f"{target}: {recipe.card.tempo_bpm:g} BPM, {general_midi.name(recipe.card.instrument)}; "
        f"play it with `bachbox play --model {recipe.name}`."
    )
    shutil.rmtree(folder)
    return Result(target, nll, ngram_nll)


def _verdict(nll: float, ngram_nll: float) -> str:
    if nll < ngram_nll:
        return "The model predicts this kind of music better than an n-gram does."
    return (
        "The n-gram is better: the model has learned less than simple counting finds out, so do "
        "not expect much of it. More pieces or more --minutes may help."
    )


def _install(path: Path, target: Path) -> None:
    """Copy a model file to where the player finds it, and write its card beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, path.read_bytes())
    target.with_suffix(".md").write_text(model_file.load(target).card)
