"""Decides which requests are answered: host names, origins, sessions, and rate limits."""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections import OrderedDict
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from appliance.config.schema import Web
from appliance.frontends.web.passwords import Passwords
from appliance.frontends.web.proxies import TrustedProxies
from appliance.frontends.web.routing import PERMISSION, Permission
from appliance.frontends.web.sessions import Session

CSRF_HEADER: Final = "X-CSRF-Token"

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_LOCAL_SUFFIXES: Final = (
    "", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box",
)  # fmt: skip
"""What home networks append to a host name. A stranger cannot register a name under any of them."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?")

REQUESTS_PER_S: Final = 60.0
REQUEST_BURST: Final = 300.0
"""Requests that one address may send at once."""

LOGINS_PER_S: Final = 1 / 12
LOGIN_BURST: Final = 5.0

_MAX_ADDRESSES: Final = 1024


class RateLimiter:
    """A token bucket for each client: ``burst`` tokens, refilled at ``per_s`` tokens a second."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens left and the time of the last request, by client; the latest client is last."""

    def take(self, client: str) -> float:
        """Take a token; return 0.0, or how many seconds to wait until there is one."""
        now = time.monotonic()
        left, since = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_s)
        wait_s = max(0.0, (1.0 - left) / self._per_s)
        self._buckets[client] = (left if wait_s else left - 1.0, now)
        while len(self._buckets) > _MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return wait_s


class Access:
    """Decides what the client behind a request may do."""

    def __init__(self, config: Web, passwords: Passwords, port: int) -> None:
        self._config = config
        self._passwords = passwords
        self.cookie: Final = f"bachbox-{port}"
        """Name of the session cookie. Cookies ignore the port, and two boxes may share a host."""
        host_name = socket.gethostname().casefold()
        self._allowed_hosts = frozenset(
            {"localhost", host_name, *(name.casefold() for name in config.allowed_hosts)}
            | {host_name.partition(".")[0] + suffix for suffix in _LOCAL_SUFFIXES}
        )
        # Where another machine has the same name, Avahi appends a number to this one's.
        self._mdns_name = re.compile(
            rf"{re.escape(host_name.partition('.')[0])}-[0-9]{{1,3}}\.local"
        )
        self.proxies: Final = TrustedProxies(config.trusted_proxies)
        self._requests = RateLimiter(REQUESTS_PER_S, REQUEST_BURST)
        self.logins: Final = RateLimiter(LOGINS_PER_S, LOGIN_BURST)

    def anonymous_permission(self) -> Permission:
        """Return what a client without a session may do."""
        if self._config.require_password and not self._passwords.is_set:
            return Permission.NONE
        match self._config.anonymous_access:
            case "off":
                return Permission.NONE
            case "read":
                return Permission.READ
            case "full":
                return Permission.CONTROL
        return Permission.READ if self._passwords.is_set else Permission.CONTROL

    def session(self, request: web.Request) -> Session | None:
        """Return the valid session that ``request`` belongs to, if any."""
        return self._passwords.session(request.cookies.get(self.cookie, ""))

    def check(self, request: web.Request, needs: Permission) -> None:
        """Store the client's permission in ``request[PERMISSION]`` and check it against ``needs``.

        Raises:
            HTTPTooManyRequests: the client's address sends too many requests.
            HTTPMisdirectedRequest: the Host header names another machine.
            HTTPForbidden: the request comes from another site, or its CSRF token is wrong.
            HTTPUnauthorized: the client must log in first.
        """
        if wait_s := self._requests.take(self.proxies.client(request)):
            raise web.HTTPTooManyRequests(
                text="too many requests; slow down",
                headers={"Retry-After": str(int(wait_s) + 1)},
            )
        self._check_origin(request)
        session = self.session(request)
        permission = Permission.CONTROL if session else self.anonymous_permission()
        request[PERMISSION] = permission
        if permission < needs:
            raise web.HTTPUnauthorized(text=f"this needs a login: {self._login_advice()}")
        if (
            session
            and request.method not in _SAFE_METHODS
            and request.headers.get(CSRF_HEADER) != session.csrf_token
        ):
            raise web.HTTPForbidden(
                text=f"send the csrf_token of GET /api/session in the header {CSRF_HEADER}"
            )

    def _check_origin(self, request: web.Request) -> None:
        host = self.proxies.host(request)
        if not self._is_allowed_host(host):
            # Either a foreign name that points here (DNS rebinding), or one not in the config.
            raise web.HTTPMisdirectedRequest(
                text="unknown host name; add it to [web] allowed_hosts in the config"
            )
        origin = request.headers.get("Origin")
        fetch = request.headers
        # A browser says this by itself, and no page can: a proxy may have replaced Host then.
        is_own_page = fetch.get("Sec-Fetch-Site") == "same-origin"
        if origin is not None and origin_host(origin) != host.casefold() and not is_own_page:
            raise web.HTTPForbidden(
                text="pages of other sites may not control this box; is this its own page behind "
                "a proxy? The proxy has to pass on the Host header: see docs/proxies.md"
            )
        if fetch.get("Sec-Fetch-Site") in ("cross-site", "same-site") and (
            request.method not in _SAFE_METHODS or fetch.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise web.HTTPForbidden(text="pages of other sites may not use this box")

    def _is_allowed_host(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match[1].casefold().rstrip(".")
        if name in self._allowed_hosts or name.endswith(".localhost"):
            return True
        if self._mdns_name.fullmatch(name):
            return True
        try:
            # A plain address is safe: DNS rebinding needs a host name.
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _login_advice(self) -> str:
        if self._passwords.is_set:
            return "send the password to POST /api/session"
        if self._config.require_password:
            return "open the page and choose a password"
        return "there is no password yet; `bachbox hash-password` makes one"


def origin_host(origin: str) -> str:
    """Return host and port of an Origin header in lower case; "" where it has none ("null").

    Source: RFC 6454.
    """
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
