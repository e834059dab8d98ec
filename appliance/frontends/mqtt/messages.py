"""What goes over the broker: topics, and payloads from and to text. No network here.

Everything of a box lies below ``bachbox/<id>/``: a setting's state under its name, and the wish
to change it under ``<name>/set``. A group's topics (``bachbox/all/<name>/set``) steer every box
that listens to the group.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass
from typing import Final

from appliance.errors import UsageError
from appliance.state import general_midi
from appliance.state.settings import Action, EffectiveSettings

ROOT: Final = "bachbox"

ONLINE: Final = "online"
OFFLINE: Final = "offline"

MAX_PAYLOAD_BYTES: Final = 256
"""The longest instrument's or model's name, quoted in JSON, is far shorter."""

MAX_ID_CHARACTERS: Final = 32

_NO_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")

_PRESSED: Final = frozenset({"press", "on", "true", "1"})

_UNKNOWN: Final = ""
"""The slot that all the topics without a meaning share."""


@dataclass(frozen=True)
class Topics:
    """The topics of the box called ``id``, which listens to ``group`` ("" for none)."""

    id: str
    group: str = ""

    @property
    def base(self) -> str:
        """What all of the box's topics begin with."""
        return f"{ROOT}/{self.id}"

    @property
    def availability(self) -> str:
        """:data:`ONLINE` or :data:`OFFLINE`; the last will, too."""
        return f"{self.base}/availability"

    @property
    def now_playing(self) -> str:
        """JSON: where the music is."""
        return f"{self.base}/now_playing"

    @property
    def health(self) -> str:
        """JSON: how the box is."""
        return f"{self.base}/health"

    @property
    def error(self) -> str:
        """Why a wish was refused, as a sentence."""
        return f"{self.base}/error"

    def state(self, name: str) -> str:
        """Where a setting's value is told."""
        return f"{self.base}/{name}"

    def command(self, name: str) -> str:
        """Where a setting is changed, or an action asked for."""
        return f"{self.base}/{name}/set"

    @property
    def commands(self) -> list[str]:
        """What to subscribe to."""
        return [f"{ROOT}/{who}/+/set" for who in dict.fromkeys((self.id, self.group)) if who]

    def wish(self, topic: str) -> str | None:
        """The setting or action that ``topic`` is about, None where it is no command to us."""
        root, _, rest = topic.partition("/")
        who, _, rest = rest.partition("/")
        name, _, verb = rest.partition("/")
        return name if root == ROOT and who in (self.id, self.group) and verb == "set" else None

    def slot(self, topic: str) -> str:
        """Messages with the same slot replace each other while they wait.

        The slots are few, whatever topics there are.
        """
        name = self.wish(topic)
        if name is None:
            return topic if not topic.startswith(f"{ROOT}/") else _UNKNOWN
        wanted = name.replace("-", "_")
        return (
            wanted if wanted in EffectiveSettings._fields or wanted in tuple(Action) else _UNKNOWN
        )


def identity(wanted: str) -> str:
    """What the box is called on the broker: ``wanted``, or else the machine's host name."""
    host = socket.gethostname().partition(".")[0]
    return wanted or _NO_ID.sub("-", host).strip("-")[:MAX_ID_CHARACTERS] or ROOT


def parse(payload: bytes) -> str | int | float | bool:
    """The value in a payload: text as it is, or JSON (plain, or as ``{"value": ...}``).

    What the value may be, the settings know.

    Raises:
        UsageError: it is neither.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise UsageError(
            f"a payload of {len(payload)} bytes is no value; at most {MAX_PAYLOAD_BYTES} "
            "bytes are allowed"
        )
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise UsageError(f"{payload[:20]!r} is not text in UTF-8") from error
    if not text:
        raise UsageError("an empty payload says nothing; send a value")
    return _json(text) if text[0] in '{["' else text


def pressed(value: object) -> bool:
    """Whether the payload of an action asks for it."""
    return str(value).casefold() in _PRESSED


def show(name: str, values: EffectiveSettings) -> str:
    """A setting's value as its state topic tells it."""
    value = getattr(values, name)
    if name == "instrument":
        return general_midi.name(value)
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _json(text: str) -> str | int | float | bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{_short(text)} looks like JSON and is none") from error
    if isinstance(value, dict) and value.keys() == {"value"}:
        value = value["value"]
    if not isinstance(value, str | int | float):
        raise UsageError(f'{_short(text)} is no value; as JSON it is 96, "text" or {{"value": 96}}')
    return value


def _short(text: str) -> str:
    """Fit to be logged: short, and without what could move a terminal's cursor."""
    shown = repr(text)
    return shown if len(shown) <= 40 else shown[:39] + "…"
