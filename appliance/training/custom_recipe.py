"""The recipe of a model on a user's scores, with as many tokens as fit into the given time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.common.atomic_write import write_atomically
from appliance.music.codecs.base import Codec
from appliance.training.data.score_folder import ScoreFolder
from appliance.training.networks.warm_start import load_networks, network_config
from appliance.training.recipe import (
    CardConfig,
    CodecConfig,
    CorpusConfig,
    NetworkConfig,
    Recipe,
    TrainingConfig,
)

NETWORK = NetworkConfig(embedding=128, hidden=256, layers=2)
FROM_MODEL_LEARNING_RATE = 5e-4
"""Of a training that starts from a model, so that it keeps what that model knows."""
MAX_EPOCHS = 250
"""Passes through all pieces, each time in another key. More passes gain nothing."""
MIN_TOKENS = 20_000
PATIENCE_EVALS = 4
WARMUP_SHARE = 0.05
EVALUATION_SHARE = 0.1
"""The evaluations make the training longer by this share."""
AFTER_TRAINING_MINUTES = 2
"""For conversion, evaluation and the n-gram."""
MAX_FOLDER_NAME_LENGTH = 80

Report = Callable[[str], object]
"""Shows one line to the user."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Attributes:
        source: the folder with the scores.
        name: of the model.
        minutes: how long to train.
        seed: of the training.
        start: the model file whose weights the training starts from; ``None``: random weights.
    """

    source: Path
    name: str
    minutes: float
    seed: int
    start: Path | None = None


def recipe_for(request: Request, scores: ScoreFolder) -> Recipe:
    """The recipe for a folder of scores; its ``tokens`` are still 0.

    Raises:
        UsageError: the model to start from cannot be read, or averages several Transformers.
    """
    pieces = sum(map(len, scores.corpus.values()))
    folder, start = _printable_name(request.source), request.start
    network, started = NETWORK, ""
    if start is not None:
        network = network_config(load_networks(start.resolve())[0])
        started = f", after what the model {start.stem} was trained on"
    return Recipe(
        name=request.name,
        card=CardConfig(
            title=request.name,
            description=f"Trained on {counted(pieces, 'piece')} from the folder {folder}.",
            corpus=f"the folder {folder}{started}",
            licence="private; the licences of its scores decide what you may do with it",
            tempo_bpm=scores.tempo_bpm,
            temperature=scores.format.temperature,
            top_p=0.95,
            instrument=scores.instrument,
            made_by=f"`bachbox train FOLDER --name {request.name} "
            f"--minutes {request.minutes:g} --seed {request.seed}"
            f"{f' --from {start.stem}' if start else ''}`",
        ),
        corpus=CorpusConfig(source="score-folders"),
        codec=CodecConfig(name=scores.format.codec_name),
        network=network,
        training=TrainingConfig(
            tokens=0,
            batch_size=32,
            bptt_tokens=120,
            learning_rate=FROM_MODEL_LEARNING_RATE if start else 2e-3,
            dropout=0.4,
            patience_evals=PATIENCE_EVALS,
            seed=request.seed,
            warm_start=str(start.resolve()) if start else "",
        ),
    )


def _printable_name(source: Path) -> str:
    """A folder's name as metadata may contain it."""
    name = source.resolve().name or "the root"
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return printable[:MAX_FOLDER_NAME_LENGTH]


def plan_training(
    request: Request, codec: Codec, scores: ScoreFolder, folder: Path, report: Report
) -> Recipe:
    """The whole recipe: that of the stopped training in ``folder``, or else a new one.

    A stopped training is resumed if it had the same music, time, seed and codec. Otherwise its
    checkpoint is deleted, and the speed of this machine is measured.

    Raises:
        UsageError: as :func:`recipe_for`.
        OSError: the plan or the old checkpoint cannot be read, written or deleted.
        ValueError: the codec cannot encode a score.
    """
    from appliance.training.trainer import CHECKPOINT_NAME, EVALUATIONS, tokens_per_second

    recipe = recipe_for(request, scores)
    config, plan_path, checkpoint = recipe.training, folder / "plan.json", folder / CHECKPOINT_NAME
    fingerprint = _fingerprint(request, codec, scores)
    plan = json.loads(plan_path.read_text()) if plan_path.is_file() else {}
    if plan.get("fingerprint") == fingerprint and checkpoint.is_file():
        config.tokens, config.warmup_updates = plan["tokens"], plan["warmup_updates"]
        report("Resuming the training that was stopped.")
        return recipe
    checkpoint.unlink(missing_ok=True)
    report("Measuring how fast this machine trains")
    rate = tokens_per_second(recipe, codec, scores.corpus["train"])
    tokens_in_time = int(rate * request.minutes * 60 / (1 + EVALUATION_SHARE))
    epoch_tokens = sum(len(codec.encode(score)[1]) for score in scores.corpus["train"])
    config.tokens = max(MIN_TOKENS, EVALUATIONS, min(tokens_in_time, MAX_EPOCHS * epoch_tokens))
    updates = config.tokens // (config.batch_size * config.bptt_tokens)
    config.warmup_updates = max(1, min(config.warmup_updates, round(WARMUP_SHARE * updates)))
    minutes = config.tokens / rate * (1 + EVALUATION_SHARE) / 60
    report(
        f"It will take about {_duration(minutes + AFTER_TRAINING_MINUTES)}: {_duration(minutes)} "
        f"of training ({rate:.0f} tokens per second), then conversion and evaluation. Ctrl-C stops "
        "it, and the same command resumes it."
    )
    plan = {
        "fingerprint": fingerprint,
        "tokens": config.tokens,
        "warmup_updates": config.warmup_updates,
    }
    write_atomically(plan_path, json.dumps(plan).encode())
    return recipe


def _fingerprint(request: Request, codec: Codec, scores: ScoreFolder) -> str:
    """A hash of everything that a training depends on."""
    content = {
        "music": scores.fingerprint,
        "minutes": request.minutes,
        "seed": request.seed,
        "codec": codec.options,
        "start": hashlib.sha256(request.start.read_bytes()).hexdigest() if request.start else "",
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _duration(minutes: float) -> str:
    if minutes < 1:
        return counted(max(1, round(minutes * 60)), "second")
    return counted(round(minutes), "minute")


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural where it is not 1."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
