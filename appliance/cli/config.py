"""``bachbox config``: show the effective configuration."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import click

from appliance.cli.options import config_option, json_option

logger = logging.getLogger(__name__)


@click.command()
@config_option
@json_option
@click.option(
    "--as-played",
    is_flag=True,
    help="Leave out what `bachbox play` leaves out: a section with mistakes that the music does "
    "not need. The mistakes are reported.",
)
def config(config_file: Path | None, as_json: bool, as_played: bool) -> None:
    """Show the effective config, with passwords masked.

    The output is a valid config file: every key is there, with its default where you set none.
    """
    from appliance.config import loader

    left_out: list[str] | None = [] if as_played else None
    effective, path = loader.load(config_file, left_out)
    for problem in left_out or ():
        logger.error("%s", problem)
    sections: dict[str, dict[str, Any]] = {}
    for section, key, value in loader.items(effective):
        sections.setdefault(section, {})[key] = value
    if as_json:
        click.echo(json.dumps({"file": str(path) if path else None} | sections, indent=2))
        return
    click.echo(f"# {path or 'no config file; these are the defaults'}")
    for section, values in sections.items():
        click.echo(f"\n[{section}]")
        for key, value in values.items():
            click.echo(f"#{key} unset" if value is None else f"{key} = {_toml(value)}")


def _toml(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        given = [f"{key} = {_toml(item)}" for key, item in value.items() if item is not None]
        return f"{{ {', '.join(given)} }}"
    # JSON strings, numbers and booleans are valid TOML.
    return json.dumps(value)
