"""``bachbox instruments``: list the instruments that a soundfont offers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from appliance.cli.options import config_option, json_option
from appliance.cli.overrides import apply_overrides


@click.command()
@click.option("--soundfont", help="Check this one: a name, or a .sf2 or .sf3 file.")
@config_option
@json_option
def instruments(soundfont: str | None, config_file: Path | None, as_json: bool) -> None:
    """List the General MIDI instruments.

    Instruments that the soundfont lacks are marked; the nearest preset plays in their place.
    """
    from appliance.audio.soundfont import DRUM_BANK, preset_names
    from appliance.config import loader
    from appliance.state.general_midi import NAMES, family

    config = apply_overrides(loader.load(config_file)[0], soundfont=soundfont)
    presets = preset_names(loader.soundfont(config))
    programs = {program for bank, program in presets if bank == 0}
    if as_json:
        rows = [
            {
                "number": number,
                "name": name,
                "family": family(number),
                "in_soundfont": number in programs,
            }
            for number, name in enumerate(NAMES)
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for number, name in enumerate(NAMES):
        if number % 8 == 0:
            click.secho(f"{family(number)}", bold=True)
        missing = "" if number in programs else "  (not in this soundfont)"
        click.echo(f"  {number:3}  {name}{missing}")
    others = sorted(preset for preset in presets if preset[0] not in (0, DRUM_BANK))
    if not programs:
        others = sorted(presets)
    if others:
        click.secho("Other presets of this soundfont (bank:program)", bold=True)
    for bank, program in others:
        click.echo(f"  {bank}:{program}  {presets[bank, program]}")
