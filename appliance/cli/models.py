"""``bachbox models``: list the models."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from appliance.cli.options import config_option, json_option
from appliance.errors import BachboxError

logger = logging.getLogger(__name__)


@click.command()
@config_option
@json_option
def models(config_file: Path | None, as_json: bool) -> int:
    """List the models.

    To add one, put its .tflite file into a models folder.
    """
    from appliance.composing import model_file
    from appliance.config import loader
    from appliance.state import general_midi

    config = loader.load(config_file)[0]
    rows: list[dict[str, Any]] = []
    broken = 0
    for path in model_file.listing(loader.model_folders(config)):
        try:
            model = model_file.load(path)
        except BachboxError as error:
            # One bad file must not hide the good ones.
            broken += 1
            logger.error("%s", error)
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
