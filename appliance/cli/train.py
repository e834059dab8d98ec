"""``bachbox train``: train a model on your own music."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

import click

from appliance.cli.options import PATH, SEED, config_option
from appliance.errors import BachboxError

_REQUIRED_PACKAGES: Final = ("torch", "tensorflow", "tqdm", "music21")
"""The packages of the extra ``train`` that training imports."""


@click.command()
@click.argument("folder", type=PATH)
@click.option("--name", required=True, help="The name of the new model.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=7 * 24 * 60, min_open=True),
    default=20,
    show_default=True,
    help="How long to train.",
)
@click.option("--seed", type=SEED, default=1, show_default=True, help="The seed of the training.")
@click.option(
    "--from",
    "start_name",
    metavar="MODEL",
    help="Start from the weights of this model, by its name or path, such as keyboard.",
)
@config_option
def train(
    folder: Path,
    name: str,
    minutes: float,
    seed: int,
    start_name: str | None,
    config_file: Path | None,
) -> None:
    """Train a model on your own music.

    FOLDER contains MIDI, MusicXML or ABC files.

    Training needs the extra `train` (Python 3.11, several gigabytes). It prints an estimate of
    the time before it starts. See docs/training.md.
    """
    from appliance.composing import model_file
    from appliance.config import loader

    config = loader.load(config_file)[0]
    _check_packages()
    from appliance.training import custom_model
    from appliance.training.custom_recipe import Request

    target = loader.custom_models_folder(config) / f"{name}{model_file.SUFFIX}"
    folders = loader.model_folders(config)
    custom_model.check_name(name, model_file.listing(folders), target)
    start = model_file.find(start_name, folders) if start_name else None
    request = Request(folder, name, minutes, seed, start)
    custom_model.train_on_folder(request, target, click.echo)


def _check_packages() -> None:
    missing = [name for name in _REQUIRED_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise BachboxError(
            f"{', '.join(missing)} is not installed, and training needs it; in a checkout of "
            "Bachbox, run `make workshop` and then .venv-train/bin/bachbox train (Python 3.11, for "
            "TensorFlow 2.15)"
        )
