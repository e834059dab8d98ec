"""What is wrong with a config section although each key has an allowed type and range."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

import msgspec

from appliance.common.text import quoted
from appliance.config.midi_schema import Midi, midi_problems
from appliance.config.schema import Clock, Display, Mqtt, Web

MQTT_NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "ca_file": ("tls",),
    "cert_file": ("tls",),
    "key_file": ("tls", "cert_file"),
}
"""Keys of ``[mqtt]`` that have an effect only if other keys are set, and these other keys."""

_ZONES: Final = Path("/usr/share/zoneinfo")

_WITHOUT: Final = {
    "tls": "{key} has no effect without TLS: set tls = true, or remove {key}",
    "cert_file": "{key} belongs to a certificate: set cert_file, too",
}
"""What is said if a needed key is not set."""


def contradictions(section: msgspec.Struct) -> list[str]:
    """Return a sentence for each mistake in ``section``; it begins with the key."""
    match section:
        case Mqtt():
            return _mqtt(section)
        case Web():
            return _web(section)
        case Clock():
            return _clock(section)
        case Midi():
            return midi_problems(section)
        case Display():
            return _display(section)
    return []


def _clock(clock: Clock) -> list[str]:
    zone = clock.time_zone
    if not zone or (_ZONES / zone).is_file():
        return []
    return [
        f"time_zone: there is no time zone {quoted(zone)} in {_ZONES}; names such as "
        '"Europe/Berlin" are there if Debian\'s package tzdata is installed'
    ]


def _display(display: Display) -> list[str]:
    is_text = display.driver == "hd44780"
    if display.driver and display.size and is_text == display.size.startswith("128"):
        allowed = '"16x2" or "20x4"' if is_text else '"128x64" or "128x32"'
        return [f"size: a {display.driver} has {allowed}, not {quoted(display.size)}"]
    if is_text and display.rotate:
        return ["rotate: an hd44780 cannot be turned; remove rotate"]
    return []


def _mqtt(mqtt: Mqtt) -> list[str]:
    found = []
    for key, needed in MQTT_NEEDS.items():
        missing = [other for other in needed if not getattr(mqtt, other)]
        if getattr(mqtt, key) is not None and missing:
            found.append(_WITHOUT[missing[0]].format(key=key))
    return found


def _web(web: Web) -> list[str]:
    found = []
    for text in web.trusted_proxies:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            found.append(
                f"trusted_proxies: {quoted(text)} is not an address or a network; write "
                '"127.0.0.1" or "10.0.0.0/8"'
            )
    return found
