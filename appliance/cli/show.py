"""What this machine has, and what is in force on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from appliance.cli.options import PATH, config_option, json_option
from appliance.cli.overrides import first_values, wished
from appliance.errors import BachboxError


@click.command()
@click.option("--soundfont", type=PATH, help="Look at this .sf2 or .sf3 file.")
@config_option
@json_option
def instruments(soundfont: Path | None, config_file: Path | None, as_json: bool) -> None:
    """List the 128 General MIDI instruments, and those that the soundfont lacks."""
    from appliance.audio.soundfont import presets
    from appliance.config import loader as configs
    from appliance.state.general_midi import NAMES, family

    config = wished(configs.load(config_file)[0], soundfont=soundfont)
    have = {program for bank, program in presets(configs.soundfont(config)) if bank == 0}
    if as_json:
        rows = [
            {
                "number": number,
                "name": name,
                "family": family(number),
                "in_soundfont": number in have,
            }
            for number, name in enumerate(NAMES)
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for number, name in enumerate(NAMES):
        if number % 8 == 0:
            click.secho(f"{family(number)}", bold=True)
        click.echo(f"  {number:3}  {name}{'' if number in have else '  (not in this soundfont)'}")


@click.command()
@config_option
@json_option
@click.option("--gpio", is_flag=True, help="Show live what each knob does, until Ctrl-C.")
def doctor(config_file: Path | None, as_json: bool, gpio: bool) -> int:
    """See what stands between this machine and the music."""
    if gpio:
        _watch_gpio(config_file)
        return 0
    import msgspec

    from appliance.config import loader as configs
    from appliance.offline import doctor_checks as doctors

    findings: list[doctors.Finding] = []
    colours = {"ok": "green", "off": None, "bad": "red"}
    for finding in doctors.examine(*configs.load(config_file)):
        findings.append(finding)
        if as_json:
            continue
        click.secho(f"{finding.health.value:>4}", fg=colours[finding.health.value], nl=False)
        click.echo(f"  {finding.thing}: {finding.detail}")
        if finding.remedy:
            click.echo(f"      -> {finding.remedy}")
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(findings), indent=2))
    bad = any(finding.health is doctors.Health.BAD for finding in findings)
    return BachboxError.exit_code if bad else 0


def _watch_gpio(config_file: Path | None) -> None:
    from appliance.composing import model_file
    from appliance.config import loader as configs
    from appliance.frontends.gpio.live_test import watch
    from appliance.state.settings import Settings

    config = configs.load(config_file)[0]
    folders, values, own = first_values(config)
    settings = Settings(values, lambda: [p.stem for p in model_file.listing(folders)], own)
    watch(config.gpio, settings, click.echo)


@click.command()
@config_option
@json_option
def config(config_file: Path | None, as_json: bool) -> None:
    """Show the config in force, secrets masked."""
    from appliance.config import loader as configs

    effective, path = configs.load(config_file)
    sections: dict[str, dict[str, Any]] = {}
    for section, key, value in configs.items(effective):
        sections.setdefault(section, {})[key] = value
    if as_json:
        click.echo(json.dumps({"file": str(path) if path else None} | sections, indent=2))
        return
    click.echo(f"# {path or 'no config file: the defaults are in force'}")
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
    # JSON's strings, numbers and booleans are TOML's too.
    return json.dumps(value)
