"""The control called ``page``; :mod:`appliance.controls.web.serving` does its work."""

from __future__ import annotations

import asyncio
import importlib

from appliance.config import Web
from appliance.settings import Settings
from appliance.status import Box


class WebControl:
    """See :class:`appliance.controls.Control`; ``config`` names a port."""

    name = "page"

    def __init__(self, config: Web) -> None:
        self._config = config

    async def run(self, settings: Settings, box: Box) -> None:
        # Here, when the music has begun, and in a thread: aiohttp takes a small machine a while
        # to import, and nobody else is to wait for that.
        serving = await asyncio.to_thread(importlib.import_module, "appliance.controls.web.serving")
        await serving.serve(self._config, settings, box)
