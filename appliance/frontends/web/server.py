"""Serves the page and the API in the daemon's event loop.

Whatever is done to it, it stays small: so many connections and no more, each with so much time
to say what it wants; an idle one makes room for a new one. The music is made elsewhere.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any, Final

from aiohttp import web

from appliance.config.loader import Config
from appliance.config.schema import Web
from appliance.errors import BachboxError, UsageError
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.web import (
    api,
    audio_streams,
    health_api,
    history_api,
    login,
    openapi,
    static_files,
)
from appliance.frontends.web import (
    live_updates as live,
)
from appliance.frontends.web.access import Access
from appliance.frontends.web.context import LEVEL, MAX_BODY_BYTES, Handler, Shelf, WebContext
from appliance.frontends.web.passwords import Passwords
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings
from appliance.state.store import state_folder

MODULES: Final = (static_files, login, api, live, health_api, audio_streams, history_api, openapi)
"""Whose ``routes`` are served."""

MAX_CONNECTIONS: Final = 256
"""At once; a process has 1024 file descriptors where nobody gave it more."""

IDLE_S: Final = 15.0
"""How long a connection may take to ask, however slowly, for something."""

BACKLOG: Final = 128

BREATH_S: Final = 0.1
"""How long we wait when nobody can be let in."""

END_S: Final = 0.1
"""How long requests may take to end when we do."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Server": "Bachbox",
}


async def serve(
    config: Config, settings: Settings, box: BoxStatus, felt: deque[InputEvent], shelf: Shelf
) -> None:
    """Serve until cancelled.

    Raises:
        BachboxError: the port cannot be had, or the password's file not be understood.
    """
    page = config.web
    passwords = await asyncio.to_thread(Passwords, state_folder(), page.password_hash)
    access = Access(page, passwords, page.port)
    house = WebContext(config, settings, box, access, passwords, felt, shelf)
    app = web.Application(
        middlewares=[_refusals(house), _gate(house)], client_max_size=MAX_BODY_BYTES
    )
    for module in MODULES:
        app.add_routes(module.routes(house))
    app.on_response_prepare.append(_secure)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        keepalive_timeout=IDLE_S,
        lingering_time=0,
        shutdown_timeout=END_S,
    )
    await runner.setup()
    try:
        listeners = await asyncio.to_thread(_listen, page)
        try:
            await asyncio.gather(*(_accept(one, runner, house) for one in listeners))
        finally:
            for one in listeners:
                one.close()
    finally:
        await house.close()
        await runner.cleanup()


def _listen(page: Web) -> list[socket.socket]:
    """A socket for each address that ``page`` names."""
    found: list[socket.socket] = []
    try:
        if not page.host and socket.has_dualstack_ipv6():
            place = ("", page.port)
            found.append(socket.create_server(place, family=socket.AF_INET6, dualstack_ipv6=True))
        else:
            host, flags = page.host or None, socket.AI_PASSIVE
            for family, _, _, _, address in dict.fromkeys(
                socket.getaddrinfo(host, page.port, type=socket.SOCK_STREAM, flags=flags)
            ):
                found.append(socket.create_server(address[:2], family=family))
    except OSError as error:
        for one in found:
            one.close()
        where = f"{page.host or 'every address'}, port {page.port}"
        why = error.strerror or str(error)
        raise BachboxError(
            f"no page at {where} ({why}); another [web] port or host may be free"
        ) from error
    for one in found:
        one.listen(BACKLOG)
        one.setblocking(False)
    return found


async def _accept(listener: socket.socket, runner: web.AppRunner, house: WebContext) -> None:
    """Let them in, one after the other, and no more than there is room for."""
    loop = asyncio.get_running_loop()
    server = runner.server
    assert server is not None
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError:
            # It went away again, or there are no descriptors left.
            await asyncio.sleep(BREATH_S)
            continue
        here = [one for one in server.connections if one.transport is not None]
        if len(here) >= MAX_CONNECTIONS:
            idle = next((one for one in here if one not in house.busy), None)
            if idle is None:
                connection.close()
                continue
            idle.force_close()
        connection.setblocking(False)
        try:
            await loop.connect_accepted_socket(server, connection)
        except OSError:
            connection.close()


def _gate(house: WebContext) -> Any:
    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        house.access.check(request)
        protocol = request.protocol
        house.busy.add(protocol)
        try:
            return await handler(request)
        finally:
            house.busy.discard(protocol)

    return gate


def _refusals(house: WebContext) -> Any:
    @web.middleware
    async def tell(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever goes wrong, a program reads ``{"error": sentence}``."""
        headers: dict[str, str] = {}
        try:
            return await handler(request)
        except BachboxError as error:
            status, sentence = 422 if isinstance(error, UsageError) else 503, str(error)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            status, sentence = error.status, error.text or error.reason
            headers = {
                name: error.headers[name] for name in ("Allow", "Retry-After")
                if name in error.headers
            }  # fmt: skip
        except (ConnectionError, TimeoutError, asyncio.CancelledError):
            raise
        except Exception as error:
            resource = request.match_info.route.resource
            place = f"{request.method} {resource.canonical if resource else '?'}"
            house.box.say(
                f"bachbox: page: a mistake in Bachbox itself at {place} "
                f"({type(error).__name__}: {error!s:.200}); the music goes on"
            )
            status, sentence = 500, "a mistake in Bachbox itself; its log has more"
        return web.json_response({"error": sentence}, status=status, headers=headers)

    return tell


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer."""
    headers = response.headers
    headers.update(_HEADERS)
    headers.setdefault("Cache-Control", "no-store")
    # Older browsers do not count WebSockets as 'self'. No host that has not been checked.
    live = f" ws://{request.host} wss://{request.host}" if LEVEL in request else ""
    headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"media-src 'self'; connect-src 'self'{live}; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
