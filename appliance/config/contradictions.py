"""Keys of a config section that are allowed by themselves but not together."""

from __future__ import annotations

import msgspec

from appliance.config.schema import Mqtt


def contradictions(section: msgspec.Struct) -> list[str]:
    """Return a sentence for each contradiction in ``section``; it begins with the key."""
    return _mqtt(section) if isinstance(section, Mqtt) else []


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
