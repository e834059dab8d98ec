"""The real Home Assistant, for :mod:`tests.acceptance.homeassistant`.

``HASS`` is the path of its program ``hass``. It is set up through its HTTP API: a user, then the
MQTT integration.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
from playwright.sync_api import Browser, Page

from tests.support.broker import free_port
from tests.support.browser import page

TIMEOUT_S = 600.0
"""To end a test that hangs; Home Assistant takes minutes to start on a busy machine."""

DOCUMENTS = Path(__file__).parents[2] / "docs" / "homeassistant"

BLUEPRINT = "bach_when_somebody_is_home.yaml"


def until(what: Callable[[], object], why: Callable[[], object] = lambda: "") -> None:
    """Wait until ``what`` returns true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not what():
        assert time.monotonic() < deadline, why()
        time.sleep(0.1)


class HomeAssistant:
    """A Home Assistant that the test controls."""

    def __init__(self, folder: Path) -> None:
        self._port = free_port()
        self._url = f"http://127.0.0.1:{self._port}"
        self._folder = folder
        self._log = folder / "home-assistant.out"
        self._grant: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "configuration.yaml").write_text(
            f"http:\n  server_host: 127.0.0.1\n  server_port: {self._port}\n"
            "input_boolean:\n  somebody:\nautomation: !include automations.yaml\n"
            "recorder:\n  commit_interval: 1\nhistory:\n"
        )
        blueprint = folder / "blueprints" / "automation" / "bachbox" / BLUEPRINT
        blueprint.parent.mkdir(parents=True)
        blueprint.write_text((DOCUMENTS / BLUEPRINT).read_text())
        (folder / "automations.yaml").write_text(
            f"- use_blueprint:\n    path: bachbox/{BLUEPRINT}\n    input:\n"
            "      sensor: input_boolean.somebody\n"
            "      playing: switch.bachbox_kitchen_playing\n      wait: { seconds: 1 }\n"
        )

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [os.environ["HASS"], "--skip-pip", "-c", str(self._folder)], stdout=log, stderr=log
            )
        until(self._answers, self._log.read_text)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)

    def set_up(self, broker_port: int) -> None:
        """Create the first user, who answers no other question, and the MQTT integration."""
        person = {"name": "Tester", "username": "tester", "password": "turn-everything"}
        code = self.call(
            "/api/onboarding/users", person | {"client_id": f"{self._url}/", "language": "en"}
        )["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": f"{self._url}/"}
        form = urllib.parse.urlencode(grant).encode()
        self._grant = self.call("/auth/token", form)
        pages = {"client_id": f"{self._url}/", "redirect_uri": f"{self._url}/"}
        for step, body in (("core_config", {}), ("analytics", {}), ("integration", pages)):
            self.call(f"/api/onboarding/{step}", body)
        flow = self.call("/api/config/config_entries/flow", {"handler": "mqtt"})["flow_id"]
        answers = {"broker": "127.0.0.1", "port": broker_port}
        made = self.call(f"/api/config/config_entries/flow/{flow}", answers)
        assert made["type"] == "create_entry", made

    def call(self, path: str, body: object = None) -> Any:
        headers = self._headers
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def states(self) -> dict[str, str]:
        """Return the states of the box's entities, by entity ID."""
        return {
            one["entity_id"]: one["state"]
            for one in self.call("/api/states")
            if ".bachbox_kitchen_" in one["entity_id"]
        }

    def ask(self, *commands: dict[str, Any]) -> list[Any]:
        """Return the results of ``commands`` to the WebSocket API."""

        login = {"type": "auth", "access_token": self._grant["access_token"]}

        async def talk() -> list[Any]:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"{self._url}/api/websocket") as socket,
            ):
                await socket.receive_json()
                await socket.send_json(login)
                assert (await socket.receive_json())["type"] == "auth_ok"
                results = []
                for number, command in enumerate(commands, 1):
                    await socket.send_json({"id": number, **command})
                    answer = await socket.receive_json()
                    assert answer["success"], answer
                    results.append(answer["result"])
                return results

        # In a thread of its own: while a browser is open, this one has an event loop.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, talk()).result()

    def get(self, path: str) -> bytes:
        """Return what is at ``path``, such as a picture."""
        request = urllib.request.Request(self._url + path, None, self._headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def call_service(self, service: str, entity: str, **data: object) -> None:
        self.call(f"/api/services/{service}", {"entity_id": entity, **data})

    def history(self, entity: str) -> list[str]:
        """Return the states that ``entity`` had within the last day."""
        past = self.call(f"/api/history/period?filter_entity_id={entity}&minimal_response")
        return [one["state"] for states in past for one in states]

    @contextlib.contextmanager
    def dashboard(self, browser: Browser, *cards: dict[str, Any]) -> Iterator[Page]:
        """Make a dashboard of ``cards``, and open it as its user does."""
        path = f"music-{secrets.token_hex(4)}"
        config = {"views": [{"title": "Music", "cards": list(cards)}]}
        self.ask(
            {"type": "lovelace/dashboards/create", "url_path": path, "title": "Music"},
            {"type": "lovelace/config/save", "url_path": path, "config": config},
        )
        with page(browser, f"{self._url}/manifest.json", ready=False) as one:
            # What its page keeps after a login.
            tokens = {
                **self._grant,
                "hassUrl": self._url,
                "clientId": f"{self._url}/",
                "expires": (time.time() + self._grant["expires_in"]) * 1000,
            }
            one.evaluate("(t) => localStorage.setItem('hassTokens', t)", json.dumps(tokens))
            one.goto(f"{self._url}/{path}/0")
            yield one

    @property
    def problems(self) -> list[str]:
        """The warnings and errors logged about MQTT or Bachbox, and issues raised to its user."""
        [repairs] = self.ask({"type": "repairs/list_issues"})
        issues = [
            str(one)
            for one in repairs["issues"]
            if re.search(r"mqtt|bachbox", str(one), re.IGNORECASE)
        ]
        return issues + [
            line
            for line in self._log.read_text().splitlines()
            if re.search(r"WARNING|ERROR", line)
            and re.search(r"mqtt|bachbox", line, re.IGNORECASE)
            # Expected when the test stops the broker or the box.
            and "Disconnected from MQTT server" not in line
            and "Failed to connect to MQTT server" not in line
            # Said once, when the form "device" is left and nothing of it remains.
            and "No device components to cleanup" not in line
        ]

    @property
    def _headers(self) -> dict[str, str]:
        token = self._grant.get("access_token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            with urllib.request.urlopen(f"{self._url}/manifest.json", timeout=5):
                return True
        except OSError:
            return False


@contextlib.contextmanager
def home_assistant(folder: Path) -> Iterator[HomeAssistant]:
    one = HomeAssistant(folder)
    try:
        one.start()
        yield one
    finally:
        one.stop()
