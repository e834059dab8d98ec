"""Serves the page and the API in the daemon's event loop.

The server limits what clients can take from it: the number of connections is bounded, each request
has a time limit, and an idle connection makes room for a new one. The music is made in other
processes, so even a flood of requests cannot interrupt it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from appliance.config.loader import Config
from appliance.errors import BachboxError, UsageError, bug_sentence
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.web import (
    api,
    audio_streams,
    backup_api,
    health_api,
    history_api,
    live_updates,
    login,
    melody_api,
    openapi,
    saved_api,
    scenes_api,
    score_api,
    static_files,
)
from appliance.frontends.web.access import Access
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import MAX_BODY_BYTES, Error, json_response
from appliance.frontends.web.listening_sockets import listen_when_possible
from appliance.frontends.web.media import Media
from appliance.frontends.web.passwords import Passwords
from appliance.frontends.web.routing import PERMISSION, Handler, RouteTable
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings
from appliance.state.store import state_folder

logger = logging.getLogger(__name__)

MODULES: Final = (
    static_files, login, api, live_updates, health_api, audio_streams, history_api, saved_api,
    scenes_api, score_api, backup_api, melody_api, openapi,
)  # fmt: skip
"""Modules that add routes."""

MAX_CONNECTIONS: Final = 256
"""By default a process may have 1024 open files."""

IDLE_S: Final = 15.0
"""A connection that completes no request in this time is closed."""

ACCEPT_RETRY_S: Final = 0.1
"""Wait after an error of ``accept``."""

SHUTDOWN_TIMEOUT_S: Final = 0.1
"""How long requests may take to end when the server stops."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Server": "Bachbox",
}


class WebFrontend:
    """Serves the page and the API; see :class:`appliance.frontends.base.Frontend`.

    Args:
        config: its ``[web]`` names a port.
        input_events: the latest events of knobs and buttons, for the page to show.
        media: recent pieces and sound.
        listeners: sockets that listen on the port of ``config``; without any, it opens them as
            soon as it can.
    """

    name = "web"

    def __init__(
        self,
        config: Config,
        input_events: deque[InputEvent],
        media: Media,
        listeners: list[socket.socket],
    ) -> None:
        self._config = config
        self._input_events = input_events
        self._media = media
        self._listeners = listeners

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Serve until cancelled.

        Raises:
            BachboxError: the password file is damaged.
            UsageError: ``[web] password_hash`` is not a valid hash.
        """
        config = self._config
        # After an error it is run again, and they are closed.
        listeners, self._listeners = self._listeners, []
        listeners = listeners or await listen_when_possible(config.web)
        with contextlib.ExitStack() as stack:
            for listener in listeners:
                stack.enter_context(listener)
            passwords = await asyncio.to_thread(Passwords, state_folder(), config.web.password_hash)
            access = Access(config.web, passwords, listeners[0].getsockname()[1])
            context = WebContext(
                config, settings, box, access, passwords, self._input_events, self._media
            )
            await serve(context, listeners)


def make_app(context: WebContext) -> tuple[web.Application, RouteTable]:
    """Return the web application and its routes; needs a running event loop."""
    table = RouteTable()
    app = web.Application(
        middlewares=[_json_errors, _access_check(context, table)], client_max_size=MAX_BODY_BYTES
    )
    for module in MODULES:
        module.add_routes(table, context)
    table.register(app.router)
    app.on_response_prepare.append(_security_headers(context))
    return app, table


async def serve(context: WebContext, listeners: list[socket.socket]) -> None:
    """Serve on ``listeners`` until cancelled, and close ``context``."""
    app, _ = make_app(context)
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,
        keepalive_timeout=IDLE_S,
        lingering_time=0,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    await runner.setup()
    try:
        await asyncio.gather(*(_accept(one, runner, context) for one in listeners))
    finally:
        await context.close()
        await runner.cleanup()


async def _accept(listener: socket.socket, runner: web.AppRunner, context: WebContext) -> None:
    """Accept connections; with too many, close an idle one, or the new one if none is idle."""
    loop = asyncio.get_running_loop()
    server = runner.server
    assert server is not None
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError:
            # The client has gone already, or too many files are open.
            await asyncio.sleep(ACCEPT_RETRY_S)
            continue
        connected = [one for one in server.connections if one.transport is not None]
        if len(connected) >= MAX_CONNECTIONS:
            busy = context.busy_connections
            idle = next((one for one in connected if one not in busy), None)
            if idle is None:
                connection.close()
                continue
            idle.force_close()
        connection.setblocking(False)
        try:
            await loop.connect_accepted_socket(server, connection)
        except OSError:
            connection.close()


class _Middleware(Protocol):
    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse: ...


def _access_check(context: WebContext, table: RouteTable) -> _Middleware:
    """Return the middleware that checks every request, and marks its connection as busy."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        context.access.check(request, table.needed_permission(request))
        connection = request.protocol
        context.busy_connections.add(connection)
        try:
            return await handler(request)
        finally:
            context.busy_connections.discard(connection)

    return check


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into a JSON response, ``{"error": sentence}``."""
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
            name: error.headers[name] for name in ("Allow", "Retry-After") if name in error.headers
        }
    except (ConnectionError, TimeoutError, asyncio.CancelledError):
        raise
    except Exception as error:
        resource = request.match_info.route.resource
        path = resource.canonical if resource else "?"
        logger.exception(
            "web: %s, at %s %s; the music continues", bug_sentence(error), request.method, path
        )
        status, sentence = 500, "a bug in Bachbox; see its log"
    response = json_response(Error(sentence), status)
    response.headers.update(headers)
    return response


def _security_headers(
    context: WebContext,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Return what adds the headers that keep other sites away."""
    access = context.access
    others = context.web_config.frame_ancestors
    # Older browsers know X-Frame-Options only, which cannot name other sites.
    framing = {} if others else {"X-Frame-Options": "SAMEORIGIN"}
    ancestors = " ".join(["'self'", *others])

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        headers.update(_HEADERS | framing)
        headers.setdefault("Cache-Control", "no-store")
        # For older browsers 'self' does not include WebSockets. Only a checked host is named.
        host = access.proxies.host(request)
        websockets = f" ws://{host} wss://{host}" if PERMISSION in request else ""
        headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            f"media-src 'self'; connect-src 'self'{websockets}; manifest-src 'self'; "
            f"base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
        )

    return add
