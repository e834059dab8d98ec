"""The checks of ``bachbox doctor`` for ``[web]``: port, password and proxies."""

from __future__ import annotations

import errno
import http.client
import ipaddress
from collections.abc import Iterator
from typing import Final

from appliance.config.addresses import host_port
from appliance.config.loader import Config
from appliance.config.schema import Web
from appliance.errors import BachboxError
from appliance.offline.findings import CheckStatus, Finding

_TIMEOUT_S: Final = 5.0

_FIRST_FREE_PORT: Final = 1024
"""The first port that needs no privileges (ip(7))."""


def check_page(config: Config, *, is_service: bool) -> Iterator[Finding]:
    """Check whether the page can be served, and who may use it.

    Args:
        config: the config.
        is_service: whether the service reads this config.

    Raises:
        UsageError: ``[web] password_hash`` is not a valid hash.
    """
    from appliance.frontends.web.passwords import check_hash

    web = config.web
    if web.port == 0:
        yield Finding("page", CheckStatus.OFF, "[web] port is 0")
        return
    yield _check_port(web, is_service)
    for text in web.trusted_proxies:
        if ipaddress.ip_network(text, strict=False).prefixlen == 0:
            detail = f"[web] trusted_proxies: {text} is everybody, so anyone may forge an address"
            yield Finding("proxies", CheckStatus.FAILED, detail, "name the proxy's own address")
    if web.password_hash:
        check_hash(web.password_hash)


def _check_port(web: Web, is_service: bool) -> Finding:
    from appliance.frontends.web.listening_sockets import listen

    try:
        sockets = listen(web)
    except BachboxError as error:
        cause = error.__cause__
        is_taken = isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
        host = web.host or "localhost"
        if is_taken and isinstance(web.port, int) and _is_bachbox(host, web.port):
            return Finding("page", CheckStatus.OK, f"served at {host_port(host, web.port)}")
        return Finding("page", CheckStatus.FAILED, str(error))
    port = sockets[0].getsockname()[1]
    for listener in sockets:
        listener.close()
    if is_service and port < _FIRST_FREE_PORT:
        detail = f"the service may not use port {port}: its unit grants no CAP_NET_BIND_SERVICE"
        remedy = "choose a [web] port from 1024, and see docs/proxies.md for port 80"
        return Finding("page", CheckStatus.FAILED, detail, remedy)
    return Finding("page", CheckStatus.OK, f"port {port} is free")


def _is_bachbox(host: str, port: int) -> bool:
    """Return whether a Bachbox has the port."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().getheader("Server") == "Bachbox"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
