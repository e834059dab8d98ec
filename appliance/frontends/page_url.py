"""The address of the page, as others in the same home network find it."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
from typing import Final

from appliance.config.schema import Web

_ASK_AVAHI: Final = (
    "busctl", "call", "org.freedesktop.Avahi", "/", "org.freedesktop.Avahi.Server",
    "GetHostNameFqdn",
)  # fmt: skip
"""https://avahi.org/doxygen/html/, org.freedesktop.Avahi.Server."""

_TIMEOUT_S: Final = 2.0

_LOOPBACK: Final = ("127.", "localhost", "::1")


def mdns_name() -> str:
    """Return the name of this machine in mDNS, such as ``bachbox.local``; blocks for a moment.

    Where two machines have the same name, Avahi calls the second one ``bachbox-2.local``.
    """
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(
            _ASK_AVAHI, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True
        )
        if found := re.fullmatch(r's "([A-Za-z0-9.-]+)"\s*', done.stdout):
            return found[1]
    return f"{socket.gethostname().partition('.')[0]}.local"


def is_loopback(web: Web) -> bool:
    """Return whether only this machine can reach the page."""
    return web.host.startswith(_LOOPBACK)


def page_url(web: Web) -> str:
    """Return where others in the network find the page; "" if they cannot. Blocks for a moment."""
    if not web.port or is_loopback(web):
        return ""
    host = f"[{web.host}]" if ":" in web.host else web.host
    return f"http://{host or mdns_name()}:{web.port}/"
