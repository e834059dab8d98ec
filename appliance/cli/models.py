"""The models there are, and one more of your own."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Final

import click

from appliance.cli.options import PATH, SEED, config_option, json_option
from appliance.errors import BachboxError


@click.command()
@config_option
@json_option
def models(config_file: Path | None, as_json: bool) -> int:
    """List the models: put a .tflite file into a models folder, and it is here."""
    from appliance.composing import model_file
    from appliance.config import loader as configs
    from appliance.state import general_midi

    config = configs.load(config_file)[0]
    rows: list[dict[str, Any]] = []
    broken = 0
    for path in model_file.listing(configs.model_folders(config)):
        try:
            model = model_file.load(path)
        except BachboxError as error:
            # One bad file must not hide the good ones.
            broken += 1
            click.echo(f"bachbox: {error}", err=True)
            continue
        rows.append(
            {
                "name": path.stem,
                "title": model.title,
                "description": model.description,
                "tempo_bpm": model.tempo_bpm,
                "temperature": model.temperature,
                "top_p": model.top_p,
                "instrument": general_midi.name(model.instrument),
                "licence": model.licence,
                "path": str(path),
            }
        )
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    for row in [] if as_json else rows:
        click.secho(f"{row['name']}", bold=True, nl=False)
        click.echo(f"  {row['description']}")
        click.echo(
            f"    {row['tempo_bpm']:g} beats a minute, {row['instrument']}, "
            f"temperature {row['temperature']:g}; {row['licence']}"
        )
        click.echo(f"    {row['path']}")
    return BachboxError.exit_code if broken else 0


_WORKSHOP: Final = ("torch", "tensorflow", "tqdm", "music21")
"""What training needs of the extra ``train``."""


@click.command()
@click.argument("folder", type=PATH)
@click.option("--name", required=True, help="What the model is to be called.")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, max=7 * 24 * 60, min_open=True),
    default=20,
    show_default=True,
    help="How long it may learn.",
)
@click.option("--seed", type=SEED, default=1, show_default=True, help="Of the training.")
@config_option
def train(folder: Path, name: str, minutes: float, seed: int, config_file: Path | None) -> None:
    """Make a model of your own from the MIDI, MusicXML or ABC files in FOLDER.

    It needs the extra `train` (Python 3.11, some gigabytes), and says before it starts how long
    it will take. See docs/training.md.
    """
    from appliance.composing import model_file
    from appliance.config import loader as configs

    config = configs.load(config_file)[0]
    _check_workshop()
    from appliance.training import custom_model

    target = configs.own_models(config) / f"{name}{model_file.SUFFIX}"
    custom_model.check_name(name, model_file.listing(configs.model_folders(config)), target)
    custom_model.train(folder, name, minutes, seed, target, click.echo)


def _check_workshop() -> None:
    missing = [name for name in _WORKSHOP if importlib.util.find_spec(name) is None]
    if missing:
        raise BachboxError(
            f"{', '.join(missing)} is missing here, and training needs it; with Python 3.11 (for "
            "TensorFlow 2.15): pip install 'bachbox[train]', or, in a checkout, `make workshop` "
            "and then .venv-train/bin/bachbox train"
        )
