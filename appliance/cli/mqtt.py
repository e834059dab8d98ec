"""``bachbox mqtt``: commands for the MQTT broker."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import click

from appliance.cli.options import config_option, json_option
from appliance.errors import UsageError

logger = logging.getLogger(__name__)


@click.group()
def mqtt() -> None:
    """Manage this box on the MQTT broker and in Home Assistant."""


@mqtt.command()
@config_option
@json_option
def unregister(config_file: Path | None, as_json: bool) -> None:
    """Remove this box from the MQTT broker, and thus from Home Assistant.

    Deletes the box's retained messages. Stop the box first, or it will announce itself again.
    """
    from appliance.config import loader
    from appliance.frontends.mqtt import unregister

    config = loader.load(config_file)[0]
    if not config.mqtt.host:
        raise UsageError("no broker is configured ([mqtt] host is empty), so nothing is removed")
    result = unregister.unregister(config.mqtt)
    if as_json:
        click.echo(json.dumps(result._asdict()))
        return
    click.echo(f"{result.id}: {result.topics} retained topics removed")
    if result.still_running:
        logger.warning(
            "the box is running and will announce itself again; stop it first, or set "
            '[mqtt] discovery = "off" and restart it'
        )
