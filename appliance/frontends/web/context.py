"""What a handler of the page works with, and who may ask it."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from appliance.config.loader import Config
from appliance.config.schema import Web
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.history import History
from appliance.frontends.streaming.opus import OpusRadio
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

if TYPE_CHECKING:
    from appliance.frontends.web.access import Access
    from appliance.frontends.web.passwords import Passwords

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY_BYTES: Final = 1 << 14
"""The longest request; all the settings together have some hundred bytes."""


class Permission(enum.IntEnum):
    """How far somebody may go."""

    NOTHING = 0
    """Only what everybody may: the page's own files, and saying the password."""
    LOOK = 1
    """See and hear."""
    CONTROL = 2
    """Steer."""


LEVEL: Final = web.RequestKey("level", Permission)
"""How far the one who asks may go: ``request[LEVEL]``."""


@dataclass(frozen=True)
class Shelf:
    """What others keep and the page hands out."""

    keepsakes: History
    opus: OpusRadio
    soundfont: Path


@dataclass
class WebContext:
    """One run of the page: what there is to be shown and steered."""

    whole_config: Config
    settings: Settings
    box: BoxStatus
    access: Access
    passwords: Passwords
    felt: deque[InputEvent]
    """What the knobs' control has felt lately."""
    shelf: Shelf
    busy: set[web.RequestHandler] = field(default_factory=set)
    """The connections with a request that is being answered."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _endings: list[Callable[[], object]] = field(default_factory=list)
    _renewals: list[Callable[[], object]] = field(default_factory=list)

    @property
    def config(self) -> Web:
        """``[web]``."""
        return self.whole_config.web

    @property
    def name(self) -> str:
        """What the page is called."""
        return self.config.name or socket.gethostname().partition(".")[0]

    @property
    def version(self) -> str:
        """Of Bachbox."""
        return metadata.version("bachbox")

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` beside the requests; it is cancelled when the page ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def at_end(self, function: Callable[[], object]) -> None:
        """Have it called when the page ends."""
        self._endings.append(function)

    def at_renewal(self, function: Callable[[], object]) -> None:
        """Have it called when who may what has changed."""
        self._renewals.append(function)

    def renew(self) -> None:
        """Who may what has changed."""
        for function in self._renewals:
            function()

    async def close(self) -> None:
        """End what was spawned."""
        for function in self._endings:
            function()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def may(level: Permission) -> Callable[[Handler], Handler]:
    """Says who may ask a handler, where the method does not say it rightly."""

    def mark(handler: Handler) -> Handler:
        handler.needs = level  # type: ignore[attr-defined]
        return handler

    return mark


def needed(request: web.Request) -> Permission:
    """What one has to be allowed for this request."""
    otherwise = Permission.LOOK if request.method in ("GET", "HEAD") else Permission.CONTROL
    return Permission(getattr(request.match_info.handler, "needs", otherwise))
