"""The MQTT topics of a box, and what a topic means to it.

All topics of a box lie below ``bachbox/<id>/``: the state of a setting under its name, and the
commands that change it under ``<name>/set``. Commands to a group (``bachbox/all/<name>/set``)
reach every box that is configured for that group. Another root may take the place of ``bachbox``.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final, NamedTuple

from appliance.common.machine_id import short_machine_id
from appliance.state.settings import Action
from appliance.state.settings_ranges_and_steps import BY_NAME

ROOT: Final = "bachbox"
"""The root of the topics unless another one is configured, and the prefix of client IDs."""

MAX_ID_CHARACTERS: Final = 32

_INVALID_ID_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9_-]+")

UNKNOWN: Final = ""
"""The key of every topic below the root that is not a command for a setting or action."""


class Address(NamedTuple):
    """What a topic means to the box."""

    name: str | None
    """The setting or action that a command is for, known or not; None: it is not a command."""
    key: str
    """Waiting messages with the same key replace each other. There are few keys: the names of
    settings and actions, :data:`UNKNOWN`, and the topics outside the root."""


@dataclass(frozen=True)
class Topics:
    """The topics of the box called ``id``, which also obeys commands to ``group`` ("": none)."""

    id: str
    group: str = ""
    root: str = ROOT

    @property
    def base(self) -> str:
        """The prefix of all topics that the box publishes."""
        return f"{self.root}/{self.id}"

    @property
    def availability(self) -> str:
        """The topic of :data:`ONLINE` or :data:`OFFLINE`; also that of the last will."""
        return f"{self.base}/availability"

    @property
    def now_playing(self) -> str:
        """The topic that says what plays: a JSON object."""
        return f"{self.base}/now_playing"

    @property
    def health(self) -> str:
        """The topic of the health figures: a JSON object."""
        return f"{self.base}/health"

    @property
    def event(self) -> str:
        """The topic of what happens at a moment (:class:`BoxEvent`): a JSON object, not retained.

        Its ``event_type`` says what, its ``about`` what it is about.
        """
        return f"{self.base}/event"

    @property
    def piano_roll(self) -> str:
        """The topic of a picture of what plays: an SVG document."""
        return f"{self.base}/piano_roll"

    @property
    def error(self) -> str:
        """The topic on which rejected commands are explained, a sentence each."""
        return f"{self.base}/error"

    def state(self, name: str) -> str:
        """The state topic of a setting."""
        return f"{self.base}/{name}"

    def command(self, name: str) -> str:
        """The command topic of a setting or an action."""
        return f"{self.base}/{name}/set"

    @property
    def command_filters(self) -> list[str]:
        """The topic filters to subscribe to for all commands to the box and its group."""
        return [
            f"{self.root}/{target}/+/set"
            for target in dict.fromkeys((self.id, self.group))
            if target
        ]

    def address(self, topic: str) -> Address:
        """Return what ``topic`` means."""
        rest = topic.removeprefix(f"{self.root}/")
        if rest == topic:
            return Address(None, topic)
        target, _, rest = rest.partition("/")
        name, _, verb = rest.partition("/")
        if target not in (self.id, self.group) or verb != "set":
            return Address(None, UNKNOWN)
        name = name.replace("-", "_")
        known = name in BY_NAME or name in tuple(Action)
        return Address(name, name if known else UNKNOWN)


def box_id(configured: str) -> str:
    """Return the box's ID on the broker: ``configured``, or else made of host name and machine ID.

    Without the machine ID, two boxes from one image would disconnect each other.
    """
    if configured:
        return configured
    host = socket.gethostname().partition(".")[0]
    machine = short_machine_id()
    most = MAX_ID_CHARACTERS - len(machine) - 1
    from_host = _INVALID_ID_CHARACTERS.sub("-", host).strip("-")[:most].rstrip("-") or ROOT
    return f"{from_host}-{machine}" if machine else from_host


def device_name(box_id: str) -> str:
    """Return the name of the box in Home Assistant, such as "Bachbox kitchen"."""
    own = re.sub(rf"^{ROOT}([-_]|$)", "", box_id, flags=re.IGNORECASE)
    return f"Bachbox {own}".rstrip()
