"""The frontend ``web``; :mod:`appliance.frontends.web.server` does its work."""

from __future__ import annotations

import asyncio
import importlib
from collections import deque
from pathlib import Path

from appliance.config.loader import Config
from appliance.frontends.gpio.input_events import InputEvent
from appliance.frontends.history import History
from appliance.frontends.streaming.opus import OpusBroadcast
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings


class WebFrontend:
    """Serves the page and the API; see :class:`appliance.frontends.base.Frontend`.

    Args:
        config: its ``[web]`` names a port.
        input_events: the latest events of knobs and buttons, for the page to show.
        history: the pieces that can be downloaded.
        opus: the encoder of the Opus stream.
        soundfont: renders pieces of the history as sound.
    """

    name = "web"

    def __init__(
        self,
        config: Config,
        input_events: deque[InputEvent],
        history: History,
        opus: OpusBroadcast,
        soundfont: Path,
    ) -> None:
        self._config = config
        self._input_events = input_events
        self._media = (history, opus, soundfont)

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        # Late and in a thread: aiohttp takes a small machine a while to import, and the music
        # shall begin before that.
        server = await asyncio.to_thread(importlib.import_module, "appliance.frontends.web.server")
        media = server.Media(*self._media)
        await server.serve(self._config, settings, box, self._input_events, media)
