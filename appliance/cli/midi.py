"""``bachbox midi``: the MIDI ports of this machine, and which controller a knob is."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from appliance.cli.options import config_option
from appliance.errors import BachboxError

if TYPE_CHECKING:
    from appliance.audio.midi import InPort

TURNED: Final = 12
"""A knob was turned when its values differ by this; others may only tremble."""

WAIT_S: Final = 60.0


@click.group()
def midi() -> None:
    """List MIDI ports, and find out which controller a knob is."""


@midi.command()
def ports() -> None:
    """List the MIDI ports that can be named in [midi] out_port and in_ports."""
    from appliance.audio.midi.alsa_sequencer import port_names

    for key, is_input in (("out_port", False), ("in_ports", True)):
        names = port_names(is_input=is_input)
        click.echo(f"{key}: {', '.join(names) or 'none'}")


@midi.command()
@click.argument("setting")
@config_option
def learn(setting: str, config_file: Path | None) -> None:
    """Wait for a turn of a knob, and print the config line that lets this knob turn SETTING.

    Listens to the ports of [midi] in_ports, or to all ports if none is named.
    """
    from appliance.audio import midi as midi_ports
    from appliance.audio.midi.alsa_sequencer import port_names
    from appliance.config import loader
    from appliance.state.settings_ranges_and_steps import find

    name = find(setting).name
    config, path = loader.load(config_file)
    names = list(config.midi.in_ports) or port_names(is_input=True)
    if not names:
        raise BachboxError("there is no MIDI port to listen to: plug the controller in")
    with contextlib.closing(midi_ports.open_in(names)) as port:
        heard = ", ".join(port.connect()) or "no port yet"
        click.echo(f"Turn the knob for {name} ({heard})", err=True)
        number = turned_knob(port, WAIT_S)
    click.echo(f'{number} = "{name}"')
    where = path or loader.user_file()
    click.echo(f"Put this line below [midi.knobs] in {where}, and restart Bachbox", err=True)


def turned_knob(port: InPort, wait_s: float) -> int:
    """Return the number of the controller that is turned first, 0 to 127.

    Raises:
        BachboxError: none is, for ``wait_s``.
    """
    from appliance.audio.midi import CONTROL_CHANGE

    first: dict[int, int] = {}
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        port.connect()
        for message in port.read(min(left_s, 1.0)):
            if message[0] & 0xF0 == CONTROL_CHANGE:
                number, value = message[1], message[2]
                if abs(value - first.setdefault(number, value)) >= TURNED:
                    return number
    raise BachboxError(f"no knob was turned in {wait_s:g} seconds")
