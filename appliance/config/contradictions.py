"""What is wrong with a config section although each key has an allowed type and range."""

from __future__ import annotations

import ipaddress

import msgspec

from appliance.common.text import quoted
from appliance.config.schema import Mqtt, Web


def contradictions(section: msgspec.Struct) -> list[str]:
    """Return a sentence for each mistake in ``section``; it begins with the key."""
    match section:
        case Mqtt():
            return _mqtt(section)
        case Web():
            return _web(section)
    return []


def _mqtt(mqtt: Mqtt) -> list[str]:
    found = []
    if not mqtt.tls:
        found += [
            f"{key} has no effect without TLS: set tls = true, or remove {key}"
            for key in ("ca_file", "cert_file", "key_file")
            if getattr(mqtt, key) is not None
        ]
    elif mqtt.key_file is not None and mqtt.cert_file is None:
        found.append("key_file belongs to a certificate: set cert_file, too")
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
