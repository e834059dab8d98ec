"""The OpenAPI document describes exactly the routes that the router has."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import create_autospec

import pytest

from appliance.config.loader import Config
from appliance.frontends.box_events import BoxEvents
from appliance.frontends.history import History
from appliance.frontends.library import Library
from appliance.frontends.streaming.opus import OpusBroadcast
from appliance.frontends.web.access import Access
from appliance.frontends.web.context import WebContext
from appliance.frontends.web.media import Media
from appliance.frontends.web.openapi import description
from appliance.frontends.web.passwords import Passwords
from appliance.frontends.web.routing import Permission, Route
from appliance.frontends.web.server import make_app
from appliance.state.box_status import BoxStatus
from appliance.state.saved_pieces import SavedPieces
from appliance.state.scenes import Scenes
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from appliance.state.store import Store

DEFAULTS = ModelDefaults(tempo_bpm=80.0, temperature=1.0, top_p=1.0, program=19)


class Described(NamedTuple):
    """The routes, three times: in the router, in the table, and as the API describes them."""

    router: list[tuple[str, str]]
    """Method and path."""
    table: list[Route]
    document: dict[str, Any]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Described:
    folder = tmp_path_factory.mktemp("state")
    return asyncio.run(_described(folder))


async def _described(folder: Path) -> Described:
    config = Config()
    settings = Settings(
        RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _model: DEFAULTS
    )
    library = Library(
        settings,
        Scenes(folder / "scenes.json", settings),
        SavedPieces(folder / "pieces"),
        History(folder / "pieces.json"),
        BoxEvents(),
        Store(folder / "settings.json"),
    )
    passwords = Passwords(folder)
    context = WebContext(
        config,
        settings,
        create_autospec(BoxStatus, instance=True),
        Access(config.web, passwords, 8080),
        passwords,
        deque(),
        Media(library, OpusBroadcast(), lambda: folder),
    )
    app, table = make_app(context)
    router = [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    ]
    document = description(table, context)
    await context.close()
    return Described(router, list(table), document)


def test_openapi_describes_every_route_and_no_other(described: Described) -> None:
    in_document = {
        (method.upper(), path)
        for path, operations in described.document["paths"].items()
        for method in operations
    }
    in_router = {(method, path) for method, path in described.router if method != "HEAD"}
    assert in_document == in_router


def test_no_route_is_registered_twice(described: Described) -> None:
    doubles = [route for route, count in Counter(described.router).items() if count > 1]
    assert not doubles


def test_streams_websockets_metrics_and_pages_are_described(described: Described) -> None:
    paths = described.document["paths"]
    for path in ("/", "/health", "/static/{name}", "/healthz", "/metrics", "/api",
                 "/stream.wav", "/stream.opus", "/api/listen", "/api/live",
                 "/api/pieces/{id}.{kind}"):  # fmt: skip
        assert "get" in paths[path], path
    assert "101" in paths["/api/live"]["get"]["responses"]
    messages = paths["/api/live"]["get"]["x-websocket-messages"]
    assert set(messages) == {"server", "client"}


def test_every_schema_reference_has_a_schema(described: Described) -> None:
    schemas = described.document["components"]["schemas"]

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
            return found.union(*(references(child) for child in node.values()))
        if isinstance(node, list):
            return set().union(*(references(child) for child in node))
        return set()

    for reference in references(described.document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def test_only_logging_in_and_out_changes_something_without_control_permission(
    described: Described,
) -> None:
    unprotected = {
        (route.method, route.path)
        for route in described.table
        if route.method != "GET" and route.needs is not Permission.CONTROL
    }
    assert unprotected == {
        ("POST", "/api/session"),
        ("DELETE", "/api/session"),
        ("POST", "/api/password"),
    }
