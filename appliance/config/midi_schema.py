"""The ``[midi]`` section: where the notes go as MIDI, and the knobs, buttons and keys of others."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance.config.gpio_schema import POWER_OFF, ButtonAction, SettingName, action_problem

_CONTROLLER = Annotated[str, Meta(pattern=r"^(1[01][0-9]|[1-9]?[0-9])\Z")]
"""A controller's number, 0 to 119; TOML's keys are text."""


class Midi(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[midi]``: MIDI out and in; none by default."""

    out_port: Annotated[
        str,
        Meta(
            max_length=200,
            description='a part of a port\'s name, such as "GrandOrgue", or the path of a device',
        ),
    ] = ""
    clock: Annotated[bool, Meta(description="true or false")] = False
    programs: Annotated[bool, Meta(description="true or false")] = True
    in_ports: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...],
        Meta(description='a list of parts of ports\' names, such as "nanoKONTROL2"'),
    ] = ()
    knobs: Annotated[
        dict[_CONTROLLER, SettingName],
        Meta(
            description="controllers from 0 to 119 and the settings that they turn, such as "
            '{ 7 = "volume" }'
        ),
    ] = {}
    buttons: Annotated[
        dict[_CONTROLLER, ButtonAction],
        Meta(
            description='controllers from 0 to 119 and what they do, such as { 64 = "playing" } '
            'for a foot switch; as [gpio] buttons, without "power_off"'
        ),
    ] = {}
    keys_start_pieces: Annotated[bool, Meta(description="true or false")] = True


NO_MIDI: Final = Midi()


def midi_problems(midi: Midi) -> list[str]:
    """Return a sentence for each button that does what cannot be done, and for each clash."""
    found = []
    for number, action in midi.buttons.items():
        if action == POWER_OFF:
            found.append(f"buttons: {number}: {POWER_OFF} is for buttons on the pins alone")
        elif problem := action_problem(number, action):
            found.append(f"buttons: {problem}")
        if number in midi.knobs:
            found.append(
                f"buttons: {number} turns {midi.knobs[number]} already; remove one of both"
            )
    return found
