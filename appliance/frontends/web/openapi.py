"""The OpenAPI 3.1 document, made from the route table.

Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from aiohttp import web

from appliance.frontends.web.access import CSRF_HEADER
from appliance.frontends.web.api import SETTINGS_CHANGE
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.json_io import Error, json_response
from appliance.frontends.web.routing import Permission, Route, RouteTable
from appliance.frontends.web.settings_schema import SettingSchema, settings_schema
from appliance.state.setting_kinds import TOGGLE
from appliance.state.settings_ranges_and_steps import USE_DEFAULT

_JSON: Final = "application/json"

_STEP_PATTERN: Final = r"^[+-]=?[0-9]{1,9}(\.[0-9]{1,9})?$"
"""A change of a number, such as "+5"."""

_COMMON_ERRORS: Final = (400, 401, 403, 413, 421, 429, 500)
"""Statuses that any route may answer with."""

_ERRORS: Final = {
    400: "The request is not valid HTTP",
    401: "Log in first",
    403: "Wrong password, wrong CSRF token, or a page of another site",
    404: "There is nothing by that name",
    408: "The body did not arrive in time",
    409: "Not possible now",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    421: "The Host header names another machine",
    422: "A value is not allowed; nothing was changed",
    426: "This address is a WebSocket",
    429: "Too many requests; see Retry-After",
    500: "A bug in Bachbox",
    503: "Not possible now; try again",
}


def add_routes(table: RouteTable, context: WebContext) -> None:
    """Add the description of all routes in ``table``, at ``/api``."""

    @table.route(
        "GET", "/api", needs=Permission.NONE, media_types=(_JSON,),
        summary="This OpenAPI document",
    )  # fmt: skip
    async def get_description(_request: web.Request) -> web.Response:
        return json_response(description(table, context))


def description(table: RouteTable, context: WebContext) -> dict[str, Any]:
    """Return the OpenAPI document of all routes in ``table``."""
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Bachbox",
            "version": context.version,
            "description": (
                "Settings have the same names, values and error messages as in `bachbox set` and "
                "on MQTT. What you may do without a password depends on the config. To log in, "
                "POST the password to /api/session, keep the cookie, and send the csrf_token of "
                f"the answer in the header {CSRF_HEADER} with every change."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(table, context),
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": context.access.cookie},
                "csrf": {"type": "apiKey", "in": "header", "name": CSRF_HEADER},
            },
        },
    }


def _schemas(table: Iterable[Route], context: WebContext) -> dict[str, Any]:
    """Return the schemas of all bodies and messages, by name."""
    types: list[Any] = [Error]
    for route in table:
        types += [route.body, route.returns, *(kind for kind, _ in route.other_responses.values())]
        if route.websocket is not None:
            types += [route.websocket.sends, route.websocket.receives]
    known = dict.fromkeys(kind for kind in types if kind is not None and kind != SETTINGS_CHANGE)
    _, schemas = msgspec.json.schema_components(known, ref_template="#/components/schemas/{name}")
    schemas[SETTINGS_CHANGE] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {s.name: _accepted(s) for s in settings_schema(context.settings)},
    }
    return schemas


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": route.summary, "responses": _responses(route)}
    if route.description:
        operation["description"] = route.description
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json_content(route.body)}
    if route.parameters:
        operation["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": parameter.description,
                "schema": dict(parameter.schema),
            }
            for name, parameter in route.parameters.items()
        ]
    if route.needs is not Permission.NONE:
        # Either a session, or what the config allows without one.
        session: dict[str, list[str]] = (
            {"session": []} if route.method == "GET" else {"session": [], "csrf": []}
        )
        operation["security"] = [session, {}]
    if route.endless:
        operation["x-endless"] = True
    if route.websocket is not None:
        operation["x-websocket-messages"] = {
            direction: msgspec.json.schema_components(
                [kind], ref_template="#/components/schemas/{name}"
            )[0][0]
            for direction, kind in (
                ("server", route.websocket.sends),
                ("client", route.websocket.receives),
            )
            if kind is not None
        }
    return operation


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if route.websocket is not None:
        responses["101"] = {"description": "The connection becomes a WebSocket"}
    elif route.returns is not None:
        responses["200"] = {
            "description": route.summary, "content": _json_content(route.returns)
        }  # fmt: skip
    else:
        content: dict[str, Any] = {media_type: {} for media_type in route.media_types}
        responses["200"] = {"description": route.summary, "content": content}
    upgrade = (426,) if route.websocket is not None else ()
    for status in sorted({*_COMMON_ERRORS, *route.errors, *upgrade}):
        responses[str(status)] = {"description": _ERRORS[status], "content": _json_content(Error)}
    for status, (kind, about) in route.other_responses.items():
        responses[str(status)] = {"description": about}
        if kind is not None:
            responses[str(status)]["content"] = _json_content(kind)
    return responses


def _json_content(kind: type | str) -> dict[str, Any]:
    name = kind if isinstance(kind, str) else kind.__name__
    return {_JSON: {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def _accepted(setting: SettingSchema) -> dict[str, Any]:
    """Return the schema of the values of ``setting``; steps and switches may be given as text."""
    ways: list[dict[str, Any]] = []
    if setting.kind == "switch":
        ways += [{"type": "boolean"}, {"enum": ["on", "off", TOGGLE]}]
    elif setting.kind == "number":
        ways.append({"type": "number", "minimum": setting.low, "maximum": setting.high})
        ways.append({"type": "string", "pattern": _STEP_PATTERN})
    elif setting.pattern:
        ways.append({"type": "string", "pattern": f"^({setting.pattern})$"})
    else:
        ways.append({"enum": [choice.value for choice in setting.choices]})
    if setting.has_default:
        ways.append({"const": USE_DEFAULT})
    return {"anyOf": ways}
