"""Logging in, logging out, and setting the password."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec
from aiohttp import web

from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import json_response, read_json
from appliance.frontends.web.routing import PERMISSION, Permission, RouteTable
from appliance.frontends.web.sessions import SESSION_S, Session

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 4
"""Passwords that wait to be verified: each takes 16 MiB and up to seconds, one at a time."""

_BODY_ERRORS: Final = (403, 408, 409, 415, 422, 503)


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A password."""

    password: str


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new password."""

    password: str
    old_password: str = ""
    """Needed where there is a password already."""


class SessionInfo(msgspec.Struct, frozen=True):
    """What the client may do."""

    permission: str
    """``none``, ``read`` (see and hear) or ``control`` (change settings too)."""
    password_is_set: bool
    must_choose_password: bool
    """There is no password yet; this client may choose it, and can do nothing else before."""
    csrf_token: str
    """Send it in the header X-CSRF-Token with every change; "" without a session."""


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the routes of the session and of the password."""
    access, passwords = context.access, context.passwords
    verifier = _Verifier(context)

    @table.route(
        "GET", "/api/session", needs=Permission.NONE, returns=SessionInfo,
        summary="What you may do",
    )  # fmt: skip
    async def get_session(request: web.Request) -> web.Response:
        info = session_info(context, request[PERMISSION], access.session(request))
        return json_response(info)

    @table.route(
        "POST", "/api/session", needs=Permission.NONE, body=LoginRequest, returns=SessionInfo,
        errors=_BODY_ERRORS, summary="Log in with the password; sets the session cookie",
    )  # fmt: skip
    async def post_session(request: web.Request) -> web.Response:
        login = await read_json(request, LoginRequest)
        if not passwords.is_set:
            raise web.HTTPConflict(text="there is no password yet")
        if not await verifier.verify(request, login.password):
            raise web.HTTPForbidden(text="wrong password")
        return _logged_in(context, request)

    @table.route(
        "DELETE", "/api/session", needs=Permission.NONE, returns=SessionInfo,
        errors=(403,), summary="Log out",
    )  # fmt: skip
    async def delete_session(_request: web.Request) -> web.Response:
        response = json_response(session_info(context, access.anonymous_permission(), None))
        response.del_cookie(access.cookie, path="/", samesite="Strict", httponly=True)
        return response

    @table.route(
        "POST", "/api/password", needs=Permission.NONE, body=PasswordChange, returns=SessionInfo,
        errors=_BODY_ERRORS, summary="Set or change the password, and log in",
    )  # fmt: skip
    async def post_password(request: web.Request) -> web.Response:
        change = await read_json(request, PasswordChange)
        if passwords.is_set:
            if not await verifier.verify(request, change.old_password):
                raise web.HTTPForbidden(text="wrong old password")
        elif not context.web_config.require_password:
            raise web.HTTPConflict(
                text="a password is not set here but in the config; `bachbox hash-password` "
                "prints the lines for it"
            )
        else:
            verifier.check_rate(request)
        await verifier.set_password(change)
        logger.info("web: a password was set on the page")
        context.permissions_changed()
        return _logged_in(context, request)


class _Verifier:
    """Verifies passwords, one at a time and at a limited rate."""

    def __init__(self, context: WebContext) -> None:
        self._access, self._passwords = context.access, context.passwords
        self._lock = asyncio.Lock()
        self._waiting = 0

    def check_rate(self, request: web.Request) -> None:
        """Raises HTTPTooManyRequests when this address has tried too many passwords."""
        if wait_s := self._access.logins.take(self._access.proxies.client(request)):
            raise web.HTTPTooManyRequests(
                text=f"too many passwords; try again in {int(wait_s) + 1} s",
                headers={"Retry-After": str(int(wait_s) + 1)},
            )

    async def verify(self, request: web.Request, password: str) -> bool:
        """Return whether ``password`` is right.

        Raises:
            HTTPTooManyRequests: this address has tried too many.
            HTTPServiceUnavailable: too many clients are waiting.
        """
        self.check_rate(request)
        if self._waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="other clients are logging in; try again")
        self._waiting += 1
        try:
            async with self._lock:
                return await asyncio.to_thread(self._passwords.verify, password)
        finally:
            self._waiting -= 1

    async def set_password(self, change: PasswordChange) -> None:
        """Set the new password.

        Raises:
            HTTPConflict: another client has just set the first one.
            UsageError: see :meth:`Passwords.set_password`.
            BachboxError: likewise.
        """
        async with self._lock:
            if self._passwords.is_set and not change.old_password:
                raise web.HTTPConflict(text="someone else has just chosen the password")
            await asyncio.to_thread(self._passwords.set_password, change.password)


def _logged_in(context: WebContext, request: web.Request) -> web.Response:
    """Return the response that begins a session."""
    session = context.passwords.begin_session()
    response = json_response(session_info(context, Permission.CONTROL, session))
    response.set_cookie(
        context.access.cookie,
        session.token,
        max_age=SESSION_S,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=context.access.proxies.is_https(request),
    )
    return response


def session_info(
    context: WebContext, permission: Permission, session: Session | None
) -> SessionInfo:
    """Return what the API says about a client with ``permission``."""
    is_set = context.passwords.is_set
    return SessionInfo(
        permission=permission.name.lower(),
        password_is_set=is_set,
        must_choose_password=not is_set and context.web_config.require_password,
        csrf_token=session.csrf_token if session else "",
    )
