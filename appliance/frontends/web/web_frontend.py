"""The control called ``page``; :mod:`appliance.frontends.web.server` does its work."""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from pathlib import Path

from appliance.config.loader import Config
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.history import History
from appliance.frontends.streaming.opus import OpusRadio
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


class WebFrontend:
    """See :class:`appliance.frontends.Frontend`; ``config`` names a port of ``[web]``.

    ``felt`` is what the knobs' control has felt lately; pieces are taken from ``keepsakes``, and
    sound again with ``soundfont``.
    """

    name = "page"

    def __init__(
        self,
        config: Config,
        felt: deque[InputEvent],
        keepsakes: History,
        opus: OpusRadio,
        soundfont: Path,
    ) -> None:
        self._config = config
        self._felt = felt
        self._shelf = (keepsakes, opus, soundfont)

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        # Here, when the music has begun, and in a thread: aiohttp takes a small machine a while
        # to import, and nobody else is to wait for that.
        serving = await asyncio.to_thread(importlib.import_module, "appliance.frontends.web.server")
        shelf = serving.Shelf(*self._shelf)
        await serving.serve(self._config, settings, box, self._felt, shelf)
