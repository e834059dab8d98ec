"""Frontends whose libraries take long to import: this is done once the music plays, or later."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Sequence
from typing import Any, cast

from appliance.frontends.base import Frontend
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


class LazyFrontend:
    """Stands for the frontend that ``factory`` makes from ``arguments``.

    Args:
        name: what it is called in the log.
        factory: ``module:callable``. The module is imported, in a thread, when the frontend is
            first run: paho-mqtt and aiohttp take a small machine a while, and the other
            frontends do not have to wait for them.
        arguments: what to call it with.
    """

    def __init__(self, name: str, factory: str, *arguments: Any) -> None:
        self.name = name
        self._module, _, self._callable = factory.partition(":")
        self._arguments = arguments

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Import the module, make the frontend, and run it.

        Raises:
            BachboxError: as :meth:`Frontend.run <appliance.frontends.base.Frontend.run>`.
        """
        module = await asyncio.to_thread(importlib.import_module, self._module)
        frontend = cast(Frontend, getattr(module, self._callable)(*self._arguments))
        await frontend.run(settings, box)


class UnvisitedFrontend:
    """Runs ``frontend`` once somebody connects to one of ``listeners``.

    Until then its libraries take no memory.
    """

    def __init__(self, frontend: Frontend, listeners: Sequence[socket.socket]) -> None:
        self.name = frontend.name
        self._frontend = frontend
        self._listeners = listeners

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Wait for the first connection, which is left to the frontend, and run it.

        Raises:
            BachboxError: as :meth:`Frontend.run <appliance.frontends.base.Frontend.run>`.
        """
        loop, visited = asyncio.get_running_loop(), asyncio.Event()
        listeners, self._listeners = self._listeners, ()
        for listener in listeners:
            loop.add_reader(listener, visited.set)
        try:
            if listeners:
                await visited.wait()
        finally:
            for listener in listeners:
                loop.remove_reader(listener)
        await self._frontend.run(settings, box)
