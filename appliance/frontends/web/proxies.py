"""Reverse proxies: what they say of the client counts only where the config trusts them.

Headers: RFC 7239, section 1 (X-Forwarded-For), and MDN on X-Forwarded-Host and -Proto.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from aiohttp import web


class TrustedProxies:
    """The proxies that may say who the client is.

    Args:
        networks: addresses and networks, such as ``127.0.0.1`` and ``172.30.32.0/23``.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in networks]

    def client(self, request: web.Request) -> str:
        """Return the address of the client: the last one that is not a trusted proxy's."""
        address = request.remote or ""
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        while hops and self._trusts(address):
            named = hops.pop().strip()
            if _address(named) is None:
                break
            address = named
        return address

    def host(self, request: web.Request) -> str:
        """Return host and port as the client's browser sees them."""
        return self._said(request, "X-Forwarded-Host") or request.headers.get("Host", "")

    def is_https(self, request: web.Request) -> bool:
        """Return whether a trusted proxy says that it speaks TLS with the client."""
        return self._said(request, "X-Forwarded-Proto").casefold() == "https"

    def _said(self, request: web.Request, header: str) -> str:
        """Return the last value of ``header``, "" if the sender is not trusted."""
        if not self._trusts(request.remote or ""):
            return ""
        return request.headers.get(header, "").rpartition(",")[2].strip()

    def _trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    # A socket for both families names IPv4 clients ::ffff:a.b.c.d.
    return getattr(address, "ipv4_mapped", None) or address
