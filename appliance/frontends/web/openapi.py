"""The API's description (OpenAPI 3.1), made from the settings and from what handlers answer."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from appliance.frontends.history import HistoryEntry
from appliance.frontends.web.access import CSRF_HEADER
from appliance.frontends.web.api import Capabilities, RollNow, SettingsState
from appliance.frontends.web.context import Permission, WebContext, may
from appliance.frontends.web.health_api import CheckResult, InputEvents, Liveness, Report
from appliance.frontends.web.history_api import Pieces
from appliance.frontends.web.json_io import answer
from appliance.frontends.web.login import LoginRequest, PasswordChange, SessionInfo
from appliance.frontends.web.settings_schema import Setting, actions, settings_schema
from appliance.state.box_status import NowPlaying, Status


class Error(msgspec.Struct, frozen=True):
    """Why something was not done, as a sentence."""

    error: str


_TYPES: Final = (
    PasswordChange, Error, InputEvents, HistoryEntry, Capabilities, Liveness, NowPlaying, Pieces, Report, RollNow, LoginRequest,
    SettingsState, SessionInfo, Status, CheckResult,
)  # fmt: skip

_SAYS_PASSWORD: Final = (403, 409, 415, 422, 503)
_SETS: Final = (415, 422, 503)

_JSON: Final = "application/json"

# Path, method, what it does, what it takes, what it gives, and what else it may answer with.
_OPERATIONS: Final[tuple[tuple[str, str, str, str, Any, tuple[int, ...]], ...]] = (
    ("/api/status", "get", "Everything of the box", "", Status, ()),
    ("/api/now", "get", "Where the music is", "", NowPlaying, ()),
    ("/api/settings", "get", "What is set", "", SettingsState, ()),
    ("/api/settings", "patch", "Set some of it, or nothing", "Wishes", SettingsState, _SETS),
    ("/api/actions/{action}", "post", "Have something done once", "", NowPlaying, (404,)),
    ("/api/known", "get", "What can be set and done", "", Capabilities, ()),
    ("/api/roll", "get", "The notes played lately and composed ahead", "", RollNow, ()),
    ("/api/pieces", "get", "The last pieces; each is to be had as a file", "", Pieces, ()),
    ("/api/session", "get", "How far you may go", "", SessionInfo, ()),
    ("/api/session", "post", "Say the password for a session", "Said", SessionInfo, _SAYS_PASSWORD),
    ("/api/session", "delete", "Be a guest again", "", SessionInfo, (403,)),
    ("/api/password", "post", "Choose the password", "Chosen", SessionInfo, _SAYS_PASSWORD),
    ("/api/health", "get", "How the box is and was in the last minutes", "", Report, ()),
    ("/api/touches", "get", "What knobs and buttons felt lately", "", InputEvents, ()),
    ("/api/tests/tone", "post", "Play a test tone", "", CheckResult, ()),
    ("/api/tests/broker", "post", "Knock at the broker", "", CheckResult, (503,)),
    ("/api/pieces", "get", "The last pieces; /api/pieces/ID.KIND is a file of one", "", Pieces, ()),
    ("/healthz", "get", "Whether it lives: 200 or 503", "", Liveness, ()),
)  # fmt: skip


def routes(house: WebContext) -> list[web.RouteDef]:
    """The description, at ``/api``."""

    @may(Permission.NOTHING)
    async def get_description(_request: web.Request) -> web.Response:
        return answer(description(house))

    return [web.get("/api", get_description)]


def description(house: WebContext) -> dict[str, Any]:
    """The OpenAPI document."""
    _, components = msgspec.json.schema_components(
        _TYPES, ref_template="#/components/schemas/{name}"
    )
    components["Wishes"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {s.name: _accepted(s) for s in settings_schema(house.settings)},
    }
    paths: dict[str, dict[str, Any]] = {}
    for path, method, summary, takes, gives, refusals in _OPERATIONS:
        paths.setdefault(path, {})[method] = _operation(
            path, method, summary, takes, gives, refusals
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bachbox",
            "version": house.version,
            "description": (
                "The same names, values and sentences as `bachbox set` and MQTT. Reading needs "
                "what guests may see, everything else what guests may steer, or a session: say "
                f"the password at /api/session, keep the cookie, and repeat csrf as {CSRF_HEADER}. "
                "Live changes come over the WebSocket /api/live (docs/page.md)."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": house.access.cookie},
                "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
            },
        },
    }


def _operation(
    path: str, method: str, summary: str, takes: str, gives: Any, refusals: tuple[int, ...]
) -> dict[str, Any]:
    answers = {"200": _content(gives.__name__, summary)}
    for status in sorted({400, 401, 403, 413, 421, 429, 500, *refusals}):
        answers[str(status)] = _content("Error", "Why not")
    if path == "/healthz":
        answers["503"] = _content(gives.__name__, "Something is wrong")
    described: dict[str, Any] = {"summary": summary, "responses": answers}
    if takes:
        described["requestBody"] = {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{takes}"}}},
        }
    if "{action}" in path:
        described["parameters"] = [
            {
                "name": "action",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": actions()},
            }
        ]
    if method != "get":
        described["security"] = [{"session": [], "csrf": []}, {}]
    return described


def _content(name: str, about: str) -> dict[str, Any]:
    return {
        "description": about,
        "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }


def _accepted(setting: Setting) -> dict[str, Any]:
    """The values of a setting; most may be said as text too, as on the command line."""
    ways: list[dict[str, Any]] = []
    if setting.kind == "switch":
        ways += [{"type": "boolean"}, {"enum": ["on", "off"]}]
    elif setting.kind == "number":
        ways.append({"type": "number", "minimum": setting.low, "maximum": setting.high})
    else:
        ways.append({"enum": [choice.value for choice in setting.choices]})
    if setting.has_own:
        ways.append({"const": "own"})
    return {"anyOf": ways}
