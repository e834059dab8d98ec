"""The box among others: its page's password, its place on the broker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from appliance.cli.options import config_option, json_option
from appliance.errors import UsageError


@click.command()
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input.")
def password(from_stdin: bool) -> None:
    """Hash a password for the page; the line it gives belongs into the config file."""
    from appliance.frontends.web import passwords

    if from_stdin:
        chosen = sys.stdin.readline(4096).rstrip("\r\n")
    else:
        chosen = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    passwords.check_new(chosen)
    click.echo(f'[web]\npassword_hash = "{passwords.hash_of(chosen)}"')


@click.group()
def mqtt() -> None:
    """The box on an MQTT broker, and in Home Assistant."""


@mqtt.command()
@config_option
@json_option
def forget(config_file: Path | None, as_json: bool) -> None:
    """Take this box away from the broker, and so from Home Assistant."""
    from appliance.config import loader as configs
    from appliance.frontends.mqtt.unregister import forget as take_away

    config = configs.load(config_file)[0]
    if not config.mqtt.host:
        raise UsageError("no broker is configured: [mqtt] host is empty; there is nothing to do")
    gone = take_away(config.mqtt)
    if as_json:
        click.echo(json.dumps(gone._asdict()))
        return
    click.echo(f"{gone.id}: {gone.topics} retained topics taken away")
    if gone.still_running:
        click.echo(
            "bachbox: the box is running and will announce itself again; stop it first, or set "
            '[mqtt] discovery = "off" and start it anew',
            err=True,
        )
