"""A box with its web server, as a real process, and a plain HTTP client."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.broker import free_port
from tests.support.command import Playing, bachbox, home, playing
from tests.support.priority import hurry_children

TIMEOUT_S = 120.0
"""Long enough for a busy machine: it is there to end a test that hangs."""


class Answer(NamedTuple):
    """The response to a request."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """The cookie as a browser sends it back."""
        return str(self.headers["Set-Cookie"]).partition(";")[0]


class WebBox:
    """A box that plays, and its web server."""

    def __init__(self, port: int, env: dict[str, str], config: Path) -> None:
        self.port = port
        self.env = env
        self.config = config
        self.url = f"http://127.0.0.1:{port}"
        self.process: Playing

    def request(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request over its own connection; ``content`` becomes JSON."""
        body = raw
        sent_headers = dict(headers or {})
        if content is not None:
            body = json.dumps(content).encode()
            sent_headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent_headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def request_json(self, method: str, path: str, content: object = None) -> Any:
        """Return the JSON of a response with status 200; repeats a request that is rate-limited."""
        deadline = time.monotonic() + TIMEOUT_S
        while (answer := self.request(method, path, content)).status == 429:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert answer.status == 200, answer
        return answer.json

    def get(self, path: str) -> Any:
        """Return the JSON at ``path``."""
        return self.request_json("GET", path)

    def set(self, **changes: Any) -> Any:
        """Change settings over the API; return all of them."""
        return self.request_json("PATCH", "/api/settings", changes)["values"]

    @property
    def settings(self) -> dict[str, Any]:
        """The current settings."""
        return dict(self.get("/api/settings")["values"])

    def wait_until_playing(self) -> None:
        eventually(lambda: self.get("/api/now")["condition"] == "playing")


def eventually(condition: Callable[[], object], seconds: float = TIMEOUT_S) -> None:
    """Wait until ``condition()`` is true; an error of the network counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if condition():
                return
        assert time.monotonic() < deadline, condition
        time.sleep(0.03)


@contextlib.contextmanager
def web_box(
    folder: Path,
    web: str = "",
    more: str = "",
    *,
    output: str = "null",
    environment: dict[str, str] | None = None,
) -> Iterator[WebBox]:
    """Run a box with a web server; ``web`` and ``more`` are further lines of its config."""
    port = free_port()
    config = folder / "bachbox.toml"
    config.write_text(f'[sound]\noutput = "{output}"\n[web]\nport = {port}\n{web}\n{more}\n')
    box = WebBox(port, (environment or {}) | home(folder), config)
    with start(box):
        yield box


@contextlib.contextmanager
def playing_web_box(
    folder: Path, web: str = "", more: str = "", **options: Any
) -> Iterator[WebBox]:
    """As :func:`web_box`; waits until music plays, and fails if the box logs a bug."""
    with web_box(folder, web, more, **options) as box:
        hurry_children()
        box.wait_until_playing()
        yield box
        assert box.process.end() == 0
        assert not [line for line in box.process.lines if "a bug in Bachbox" in line], (
            box.process.lines
        )


@contextlib.contextmanager
def start(box: WebBox, *arguments: object) -> Iterator[Playing]:
    """Run ``box``, and wait until its web server answers."""
    with playing("--config", box.config, "--seed", 5, *arguments, env=box.env) as process:
        box.process = process

        def answers() -> bool:
            assert process.process.poll() is None, process.lines
            return box.request("GET", "/healthz").status == 200

        eventually(answers, 2 * TIMEOUT_S)
        yield process


def set_elsewhere(box: WebBox, *changes: str) -> None:
    """Change settings in the shell."""
    result = bachbox("set", *changes, env=box.env)
    assert result.code == 0, result.err
