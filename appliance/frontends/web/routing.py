"""The routes of the web server; each one describes itself.

A module adds its routes with :meth:`RouteTable.route`. The router, the permission check of every
request and the OpenAPI document are all made from the same table.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Permission(enum.IntEnum):
    """What a client is allowed to do; each level includes the ones below it."""

    NONE = 0
    """Load the page's own files and log in."""
    READ = 1
    """See the state and hear the sound."""
    CONTROL = 2
    """Change settings."""


PERMISSION: Final = web.RequestKey("permission", Permission)
"""The permission of the client that sent a request: ``request[PERMISSION]``."""


@dataclass(frozen=True)
class PathParameter:
    """A variable part of a path."""

    description: str
    schema: Mapping[str, Any]
    """JSON Schema of its values."""
    pattern: str = r"[^{}/]+"
    """Regular expression for the router."""


@dataclass(frozen=True)
class WebSocketMessages:
    """What travels over a WebSocket, for the description."""

    sends: type | None
    """Type of the JSON messages from the server; None: see the route's description."""
    receives: type | None = None
    """Type of the JSON messages from the client; None: it sends none."""


@dataclass(frozen=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """With ``{name}`` for every path parameter."""
    handler: Handler
    needs: Permission
    summary: str
    description: str = ""
    body: type | str | None = None
    """Type of the JSON body of a request, or the name of its schema in the OpenAPI document."""
    returns: type | None = None
    """Type of the JSON body of the 200 response."""
    media_types: tuple[str, ...] = ()
    """Media types of the 200 response where it is not JSON."""
    errors: tuple[int, ...] = ()
    """Statuses of errors that only this route answers with."""
    other_responses: Mapping[int, tuple[type | None, str]] = field(default_factory=dict)
    """Further responses by status: type of the JSON body (None: no body), and a description."""
    parameters: Mapping[str, PathParameter] = field(default_factory=dict)
    websocket: WebSocketMessages | None = None
    endless: bool = False
    """The body of the response has no end."""
    allow_head: bool = True
    """A GET route answers HEAD as well."""

    @property
    def pattern(self) -> str:
        """The path as the router takes it, with the regular expressions of its parameters."""
        pattern = self.path
        for name, parameter in self.parameters.items():
            pattern = pattern.replace(f"{{{name}}}", f"{{{name}:{parameter.pattern}}}")
        return pattern


class RouteTable:
    """All routes, in the order in which they were added."""

    def __init__(self) -> None:
        self._routes: list[Route] = []
        self._by_registration: dict[web.AbstractRoute, Route] = {}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def route(
        self, method: str, path: str, *, needs: Permission, summary: str, **more: Any
    ) -> Callable[[Handler], Handler]:
        """Return a decorator that adds its function as a route.

        Args:
            method: such as ``"GET"``.
            path: see :attr:`Route.path`.
            needs: the permission that a client must have.
            summary: what the route does, in one line.
            more: further fields of :class:`Route`.
        """

        def add(handler: Handler) -> Handler:
            self._routes.append(Route(method, path, handler, needs, summary, **more))
            return handler

        return add

    def register(self, router: web.UrlDispatcher) -> None:
        """Add every route to ``router``."""
        for route in self._routes:
            resource = router.add_resource(route.pattern)
            methods = ["GET", "HEAD"] if route.method == "GET" and route.allow_head else []
            for method in methods or [route.method]:
                self._by_registration[resource.add_route(method, route.handler)] = route

    def needed_permission(self, request: web.Request) -> Permission:
        """Return the permission that ``request`` needs; also for a path that does not exist."""
        route = self._by_registration.get(request.match_info.route)
        if route is not None:
            return route.needs
        return Permission.READ if request.method in ("GET", "HEAD") else Permission.CONTROL
