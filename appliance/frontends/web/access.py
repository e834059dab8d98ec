"""Who may: hosts and origins, guests and sessions, and how often and how much anybody may ask."""

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
from appliance.frontends.web.context import LEVEL, Permission, needed
from appliance.frontends.web.passwords import Passwords, Session

CSRF_HEADER: Final = "X-CSRF-Token"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_HOME_SUFFIXES: Final = (
    "", ".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box",
)  # fmt: skip
"""What home networks append to a host's name; none of them can be registered by a stranger."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:\d{1,5})?")

REQUESTS_PER_S: Final = 60.0
REQUESTS_AT_ONCE: Final = 300.0
"""Of one address."""

LOGINS_PER_S: Final = 1 / 12
LOGINS_AT_ONCE: Final = 5.0

_MAX_ADDRESSES: Final = 1024


class Buckets:
    """How often something may happen, for each of many who do it.

    Each has a bucket of ``most``, filled with ``per_s`` a second.
    """

    def __init__(self, per_s: float, most: float) -> None:
        self._per_s, self._most = per_s, most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> float:
        """Take one; 0.0, or for how many seconds there is none to be had."""
        now = time.monotonic()
        left, since = self._left.pop(who, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_s)
        wait = max(0.0, (1.0 - left) / self._per_s)
        self._left[who] = (left if wait else left - 1.0, now)
        while len(self._left) > _MAX_ADDRESSES:
            self._left.popitem(last=False)
        return wait


class Access:
    """Decides for each request how far it may go."""

    def __init__(self, config: Web, passwords: Passwords, port: int) -> None:
        self._config = config
        self._passwords = passwords
        self.cookie: Final = f"bachbox-{port}"
        """Cookies know no ports, and two boxes may share a host."""
        own = socket.gethostname().casefold()
        self._names = frozenset(
            {"localhost", own, *(name.casefold() for name in config.names)}
            | {own.partition(".")[0] + suffix for suffix in _HOME_SUFFIXES}
        )
        self._requests = Buckets(REQUESTS_PER_S, REQUESTS_AT_ONCE)
        self.logins: Final = Buckets(LOGINS_PER_S, LOGINS_AT_ONCE)

    def guests(self) -> Permission:
        """What those may who have said no password."""
        if self._config.first_visit == "password" and not self._passwords.is_set:
            return Permission.NOTHING
        match self._config.guests:
            case "off":
                return Permission.NOTHING
            case "read":
                return Permission.LOOK
            case "full":
                return Permission.CONTROL
        return Permission.LOOK if self._passwords.is_set else Permission.CONTROL

    def session(self, request: web.Request) -> Session | None:
        """The session that the request belongs to."""
        return self._passwords.session(request.cookies.get(self.cookie, ""))

    def check(self, request: web.Request) -> None:
        """Raises the refusal (an HTTP error) of a request that may not be answered."""
        if wait := self._requests.take(request.remote or ""):
            raise web.HTTPTooManyRequests(
                text="too many requests at once; slower, please",
                headers={"Retry-After": str(int(wait) + 1)},
            )
        self._check_where_from(request)
        session = self.session(request)
        level = Permission.CONTROL if session else self.guests()
        request[LEVEL] = level
        if level < needed(request):
            raise web.HTTPUnauthorized(text=f"this needs the password{self._how()}")
        if (
            session
            and request.method not in _SAFE
            and request.headers.get(CSRF_HEADER) != session.csrf
        ):
            raise web.HTTPForbidden(
                text=f"the header {CSRF_HEADER} has to repeat the csrf of GET /api/session"
            )

    def _check_where_from(self, request: web.Request) -> None:
        host = request.headers.get("Host", "")
        if not self._is_ours(host):
            # Somebody's name that points here (DNS rebinding), or one that we were not told of.
            raise web.HTTPMisdirectedRequest(
                text="this box does not go by that name; list it in [web] names of its config"
            )
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit_netloc(origin) != host.casefold():
            raise web.HTTPForbidden(text="other pages may not steer this box")
        fetch = request.headers
        if fetch.get("Sec-Fetch-Site") in ("cross-site", "same-site") and (
            request.method not in _SAFE or fetch.get("Sec-Fetch-Mode") != "navigate"
        ):
            raise web.HTTPForbidden(text="other pages may not use this box")

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].casefold().rstrip(".")
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            # No stranger's name stands before it, so nobody can have turned it here.
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _how(self) -> str:
        if self._passwords.is_set:
            return "; say it at POST /api/session"
        if self._config.first_visit == "password":
            return ", which the first visitor of the page chooses"
        return ", and there is none yet; `bachbox hash-password` makes one"


def urlsplit_netloc(origin: str) -> str:
    """Host and port of an Origin, "" where it has none ("null")."""
    try:
        return urlsplit(origin).netloc.casefold()
    except ValueError:
        return ""
