"""A frontend whose libraries take long to import: they are imported once the music plays."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any, cast

from appliance.frontends.base import Frontend
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


class LateFrontend:
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
