"""What the request handlers work with."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from appliance import __version__
from appliance.config.loader import Config
from appliance.config.schema import Web
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.web.access import Access
from appliance.frontends.web.exports import Exporter
from appliance.frontends.web.media import Media
from appliance.frontends.web.passwords import Passwords
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


@dataclass
class WebContext:
    """Everything that the request handlers share, for one run of the web server."""

    config: Config
    settings: Settings
    box: BoxStatus
    access: Access
    passwords: Passwords
    input_events: deque[InputEvent]
    """The latest events of knobs and buttons."""
    media: Media
    busy_connections: set[web.RequestHandler] = field(default_factory=set)
    """Connections with a request that is being answered."""
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _close_callbacks: list[Callable[[], object]] = field(default_factory=list)
    _permission_callbacks: list[Callable[[], object]] = field(default_factory=list)

    @functools.cached_property
    def exporter(self) -> Exporter:
        """Makes files of pieces, one at a time."""
        return Exporter(self.media.soundfont)

    @property
    def web_config(self) -> Web:
        """The section ``[web]`` of the config."""
        return self.config.web

    @property
    def name(self) -> str:
        """The name of this box, as the page shows it."""
        return self.web_config.name or socket.gethostname().partition(".")[0]

    @property
    def version(self) -> str:
        """The version of Bachbox."""
        return __version__

    def start_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` in the background; it is cancelled when the web server stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def on_close(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the web server stops."""
        self._close_callbacks.append(callback)

    def on_permissions_changed(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` whenever clients may have got other permissions."""
        self._permission_callbacks.append(callback)

    def permissions_changed(self) -> None:
        """Call what :meth:`on_permissions_changed` registered: a password was set."""
        for callback in self._permission_callbacks:
            callback()

    async def close(self) -> None:
        """Call what :meth:`on_close` registered and cancel the background tasks."""
        for callback in self._close_callbacks:
            callback()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
