"""Saying the password, and choosing it."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from appliance.frontends.web.context import LEVEL, Permission, WebContext, may
from appliance.frontends.web.json_io import answer, body
from appliance.frontends.web.passwords import SESSION_S, Session

MAX_WAITING = 4
"""Passwords that wait to be tried: each takes 16 MiB and half a second, one at a time."""


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A password."""

    password: str


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new one, and the old one where there is one."""

    password: str
    old: str = ""


class SessionInfo(msgspec.Struct, frozen=True):
    """How far you may go."""

    may: str
    """``nothing``, ``look`` or ``control``."""
    password_is_set: bool
    has_to_choose: bool
    """There is no password yet, and you are the one who chooses it."""
    csrf: str
    """To be repeated in the header X-CSRF-Token of whatever changes something; "" for guests."""


def routes(house: WebContext) -> list[web.RouteDef]:
    """The session, and the password."""
    access, passwords = house.access, house.passwords
    trying = asyncio.Lock()
    waiting = 0

    @may(Permission.NOTHING)
    async def get_session(request: web.Request) -> web.Response:
        return answer(standing(house, request[LEVEL], access.session(request)))

    @may(Permission.NOTHING)
    async def post_session(request: web.Request) -> web.Response:
        said = await body(request, LoginRequest)
        if not passwords.is_set:
            raise web.HTTPConflict(text="there is no password yet")
        if not await tried(request, said.password):
            raise web.HTTPForbidden(text="that is not the password")
        return begun(request)

    @may(Permission.NOTHING)
    async def delete_session(request: web.Request) -> web.Response:
        response = answer(standing(house, access.guests(), None))
        response.del_cookie(access.cookie, path="/", samesite="Strict", httponly=True)
        return response

    @may(Permission.NOTHING)
    async def post_password(request: web.Request) -> web.Response:
        chosen = await body(request, PasswordChange)
        if passwords.is_set:
            if not await tried(request, chosen.old):
                raise web.HTTPForbidden(text="the old password is another")
        elif house.config.first_visit != "password":
            raise web.HTTPConflict(
                text="this box asks for no password; `bachbox hash-password` makes one for its config"
            )
        else:
            await limit(request)
        async with trying:
            if passwords.is_set and not chosen.old:
                raise web.HTTPConflict(text="somebody else has just chosen it")
            await asyncio.to_thread(passwords.choose, chosen.password)
        house.box.say("bachbox: page: a password was chosen")
        house.renew()
        return begun(request)

    async def limit(request: web.Request) -> None:
        if wait := access.logins.take(request.remote or ""):
            raise web.HTTPTooManyRequests(
                text=f"too many passwords; the next in {int(wait) + 1} s",
                headers={"Retry-After": str(int(wait) + 1)},
            )

    async def tried(request: web.Request, password: str) -> bool:
        nonlocal waiting
        await limit(request)
        if waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="others are saying their passwords; try again")
        waiting += 1
        try:
            async with trying:
                return await asyncio.to_thread(passwords.fits, password)
        finally:
            waiting -= 1

    def begun(request: web.Request) -> web.Response:
        session = passwords.begin()
        response = answer(standing(house, Permission.CONTROL, session))
        response.set_cookie(
            access.cookie,
            session.token,
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="Strict",
            # A proxy before us may speak TLS.
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )
        return response

    return [
        web.get("/api/session", get_session),
        web.post("/api/session", post_session),
        web.delete("/api/session", delete_session),
        web.post("/api/password", post_password),
    ]


def standing(house: WebContext, level: Permission, session: Session | None) -> SessionInfo:
    """What somebody at ``level`` is told of it."""
    is_set = house.passwords.is_set
    return SessionInfo(
        may=level.name.lower(),
        password_is_set=is_set,
        has_to_choose=not is_set and house.config.first_visit == "password",
        csrf=session.csrf if session else "",
    )
