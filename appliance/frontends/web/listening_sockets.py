"""The sockets that the web server listens on. They are opened early: then the port is known."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from typing import Final

from appliance.config.schema import AUTO_PORT, FIRST_PORT, LAST_PORT, Web
from appliance.errors import BachboxError, reason_of

BACKLOG: Final = 128
"""Connections that wait to be accepted."""

RETRY_S: Final = 5.0

logger = logging.getLogger(__name__)


def listen(config: Web) -> list[socket.socket]:
    """Return a listening socket for each address that ``config`` names, all on one port.

    Raises:
        BachboxError: an address is in use or does not exist.
    """
    if config.port != AUTO_PORT:
        return _listen(config.host, config.port)
    for port in range(FIRST_PORT, LAST_PORT):
        try:
            return _listen(config.host, port)
        except BachboxError as error:
            cause = error.__cause__
            if not (isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE):
                raise
    return _listen(config.host, LAST_PORT)


async def listen_when_possible(config: Web) -> list[socket.socket]:
    """Return what :func:`listen` returns, as soon as it does.

    An address of this machine may come later than Bachbox, with the network.
    """
    while True:
        try:
            listeners = await asyncio.to_thread(listen, config)
        except BachboxError:
            await asyncio.sleep(RETRY_S)
        else:
            logger.info("web: listens on port %d now", listeners[0].getsockname()[1])
            return listeners


def _listen(host: str, port: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    try:
        if not host and socket.has_dualstack_ipv6():
            address = ("", port)
            listeners.append(
                socket.create_server(address, family=socket.AF_INET6, dualstack_ipv6=True)
            )
        else:
            flags = socket.AI_PASSIVE
            for family, _, _, _, found in dict.fromkeys(
                socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
            ):
                listeners.append(socket.create_server(found[:2], family=family))
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise BachboxError(
            f"cannot listen on {host or 'all addresses'}, port {port} ({reason_of(error)})",
            remedy="choose another [web] port or host",
        ) from error
    for listener in listeners:
        listener.listen(BACKLOG)
        listener.setblocking(False)
    return listeners
