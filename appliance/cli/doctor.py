"""``bachbox doctor``: check whether this machine can play."""

from __future__ import annotations

import json
from pathlib import Path

import click

from appliance.cli.model_catalog import ModelCatalog
from appliance.cli.options import config_option, json_option
from appliance.cli.overrides import new_settings
from appliance.errors import BachboxError


@click.command()
@config_option
@json_option
@click.option(
    "--gpio", is_flag=True, help="Print what each knob and button does as you use it, until Ctrl-C."
)
def doctor(config_file: Path | None, as_json: bool, gpio: bool) -> int:
    """Check whether this machine can play, and say how to fix what fails.

    Checks the config, sound card, soundfont, runtime, models, permissions, MQTT broker, web page,
    Snapcast, Icecast, GPIO pins, display and MIDI ports. Nothing is changed. The exit code is 1 if
    a check fails.
    """
    if gpio:
        _test_gpio(config_file)
        return 0
    import msgspec

    from appliance.config import loader
    from appliance.offline import doctor_checks
    from appliance.offline.findings import CheckStatus, Finding

    findings: list[Finding] = []
    colours = {"ok": "green", "off": None, "failed": "red"}
    for finding in doctor_checks.examine(*loader.load(config_file)):
        findings.append(finding)
        if as_json:
            continue
        click.secho(f"{finding.status:>6}", fg=colours[finding.status], nl=False)
        click.echo(f"  {finding.check}: {finding.detail}")
        if finding.remedy:
            click.echo(f"        -> {finding.remedy}")
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(findings), indent=2))
    failed = any(finding.status is CheckStatus.FAILED for finding in findings)
    return BachboxError.exit_code if failed else 0


def _test_gpio(config_file: Path | None) -> None:
    from appliance.config import loader
    from appliance.frontends.gpio import live_test

    config = loader.load(config_file)[0]
    catalog = ModelCatalog(config)
    settings = new_settings(config, catalog, catalog.configured)
    live_test.watch(config.gpio, settings, click.echo)
