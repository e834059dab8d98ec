"""A box with a page, as a real process, and a plain HTTP client that lies about nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.broker import free_port
from tests.support.command import Playing, home, playing
from tests.support.priority import hurry_children

TIMEOUT_S = 60.0
"""A hang fails the test; how fast things are is measured elsewhere."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """What a browser would send back."""
        return str(self.headers["Set-Cookie"]).partition(";")[0]


class House:
    """A box that plays, and its page."""

    def __init__(self, port: int, env: dict[str, str], config: Path) -> None:
        self.port = port
        self.env = env
        self.config = config
        self.url = f"http://127.0.0.1:{port}"
        self.box: Playing

    def ask(
        self,
        method: str,
        path: str,
        content: object = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Answer:
        """One request over a connection of its own."""
        body = raw
        said = dict(headers or {})
        if content is not None:
            body = json.dumps(content).encode()
            said.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, said)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def patiently(self, method: str, path: str, content: object = None) -> Any:
        """The JSON that comes back; who is told to ask later does so."""
        deadline = time.monotonic() + TIMEOUT_S
        while (answer := self.ask(method, path, content)).status == 429:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert answer.status == 200, answer
        return answer.json

    def get(self, path: str) -> Any:
        """The JSON at ``path``."""
        return self.patiently("GET", path)

    def set(self, **wishes: Any) -> Any:
        """Change settings over the API."""
        return self.patiently("PATCH", "/api/settings", wishes)["values"]

    @property
    def values(self) -> dict[str, Any]:
        """The settings in force."""
        return dict(self.get("/api/settings")["values"])

    def wait(self, what: str = "playing") -> None:
        """Until the page answers, and the box is ``what``."""
        eventually(lambda: self.get("/api/now")["condition"] == what)


def eventually(what: Callable[[], object], seconds: float = TIMEOUT_S) -> None:
    """Wait until ``what`` holds; one that cannot be asked yet does not."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if what():
                return
        assert time.monotonic() < deadline, what
        time.sleep(0.03)


@contextlib.contextmanager
def house(
    folder: Path,
    web: str = "",
    more: str = "",
    *,
    output: str = "null",
    environment: dict[str, str] | None = None,
) -> Iterator[House]:
    """A box with a page; ``web`` and ``more`` are further lines of its config."""
    port = free_port()
    config = folder / "bachbox.toml"
    config.write_text(f'[sound]\noutput = "{output}"\n[web]\nport = {port}\n{web}\n{more}\n')
    one = House(port, (environment or {}) | home(folder), config)
    with start(one):
        yield one


@contextlib.contextmanager
def good_house(folder: Path, web: str = "", more: str = "", **how: Any) -> Iterator[House]:
    """As :func:`house`, playing, and it has to end without a mistake."""
    with house(folder, web, more, **how) as one:
        hurry_children()
        one.wait()
        yield one
        assert one.box.end() == 0
        assert not [line for line in one.box.lines if "mistake" in line], one.box.lines


@contextlib.contextmanager
def start(one: House, *arguments: object) -> Iterator[Playing]:
    """The box of ``one``, running, and its page answering."""
    with playing("--config", one.config, "--seed", 5, *arguments, env=one.env) as box:
        one.box = box

        def answers() -> bool:
            assert box.process.poll() is None, box.lines
            return one.ask("GET", "/healthz").status == 200

        eventually(answers, 2 * TIMEOUT_S)
        yield box
