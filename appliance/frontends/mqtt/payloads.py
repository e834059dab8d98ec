"""The payloads of MQTT messages, without any network."""

from __future__ import annotations

import json
from typing import Final

from appliance.common.text import quoted
from appliance.errors import UsageError
from appliance.state.setting_kinds import is_relative
from appliance.state.settings import EffectiveSettings
from appliance.state.settings_ranges_and_steps import BY_NAME

ONLINE: Final = "online"
OFFLINE: Final = "offline"

MAX_PAYLOAD_BYTES: Final = 256
"""The longest name of an instrument or model, quoted in JSON, is far shorter."""

_PRESS_PAYLOADS: Final = frozenset({"press", "on", "true", "1"})


def parse(payload: bytes) -> str | int | float | bool:
    """Return the value in a payload: text as it is, or JSON (plain, or as ``{"value": ...}``).

    Whether a setting may have that value is for the settings to check.

    Raises:
        UsageError: the payload is too long, is not text in UTF-8, or holds no value.
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
