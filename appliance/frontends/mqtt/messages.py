"""MQTT topics and payloads, without any network.

All topics of a box lie below ``bachbox/<id>/``: the state of a setting under its name, and the
commands that change it under ``<name>/set``. Commands to a group (``bachbox/all/<name>/set``)
reach every box that is configured for that group. Another root may take the place of ``bachbox``.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from typing import Final, NamedTuple

from appliance.common.machine_id import short_machine_id
from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.state.setting_kinds import is_relative
from appliance.state.settings import Action, EffectiveSettings
from appliance.state.settings_table import BY_NAME

ROOT: Final = "bachbox"
"""The root of the topics unless another one is configured, and the prefix of client IDs."""

ONLINE: Final = "online"
OFFLINE: Final = "offline"

MAX_PAYLOAD_BYTES: Final = 256
"""The longest name of an instrument or model, quoted in JSON, is far shorter."""

MAX_ID_CHARACTERS: Final = 32

_INVALID_ID_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9_-]+")

_PRESS_PAYLOADS: Final = frozenset({"press", "on", "true", "1"})

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


def parse(payload: bytes) -> str | int | float | bool:
    """Return the value in a payload: text as it is, or JSON (plain, or as ``{"value": ...}``).

    Whether a setting may have that value is for the settings to check.

    Raises:
        UsageError: the payload holds no value.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise UsageError(
            f"a payload of {len(payload)} bytes is too long; at most {MAX_PAYLOAD_BYTES} "
            "bytes are allowed"
        )
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{payload[:20]!r} is not text in UTF-8") from error
    if not text:
        raise UsageError("the payload is empty; send a value")
    return _parse_json(text) if text[0] in '{["' else text


def is_step(payload: bytes) -> bool:
    """Return whether ``payload`` changes a setting from its value now, such as "+5" or "TOGGLE"."""
    try:
        return is_relative(str(parse(payload)))
    except UsageError:
        return False


def is_press(value: object) -> bool:
    """Return whether the payload of an action triggers it."""
    return str(value).casefold() in _PRESS_PAYLOADS


def format_state(name: str, values: EffectiveSettings) -> str:
    """Return the payload of the state topic of setting ``name``."""
    value = BY_NAME[name].kind.show(getattr(values, name))
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _parse_json(text: str) -> str | int | float | bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{quoted(text)} looks like JSON but is not") from error
    if isinstance(value, dict) and value.keys() == {"value"}:
        value = value["value"]
    if not isinstance(value, str | int | float):
        raise UsageError(
            f'{quoted(text)} is not a value; as JSON, write 96, "text" or {{"value": 96}}'
        )
    return value
