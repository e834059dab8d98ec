"""The hands: each control turns somebody's wish into a change of settings, and shows the state.

A control is a guest in the daemon. It is run, watched and replaced by :class:`FrontendRunner`; whatever
it does, the children that make the music do not notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from appliance.errors import BachboxError
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
"""A control that broke is tried again after these, doubled each time."""

WELL_S: Final = 60.0
"""After so long at work a control's earlier breakdowns are forgotten."""

TIMEOUT_S: Final = 0.3
"""How long a control may take to end; then we go without it."""


class Frontend(Protocol):
    """One way to reach the box: pins, a broker, a socket."""

    @property
    def name(self) -> str:
        """What it is called in the log."""

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Work until cancelled, then tidy up within :data:`TIMEOUT_S`.

        Runs in the daemon's event loop, so it must never block: a library that does so, or that
        calls back from a thread of its own, lives in a (daemon) thread and comes over with
        ``loop.call_soon_threadsafe``. Called again after an unexpected error.

        Returning means that there is nothing to do here (say why with ``box.say`` before).

        Raises:
            BachboxError: it cannot work, and trying again would not help; the sentence is said
                once and the music plays without this control.
        """


class FrontendRunner:
    """Runs the controls side by side; none can hurt another, or the music."""

    def __init__(self, controls: Sequence[Frontend], settings: Settings, box: BoxStatus) -> None:
        self._controls = controls
        self._settings = settings
        self._box = box
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start them all."""
        self._tasks = [asyncio.create_task(self._keep(c), name=c.name) for c in self._controls]

    async def stop(self) -> None:
        """End them all, within :data:`TIMEOUT_S`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=TIMEOUT_S)

    async def _keep(self, control: Frontend) -> None:
        loop = asyncio.get_running_loop()
        wait = RETRY_FIRST_S
        while True:
            begun = loop.time()
            try:
                await control.run(self._settings, self._box)
            except BachboxError as error:
                self._box.say(f"bachbox: {control.name}: {error}")
            except Exception as error:
                if loop.time() - begun > WELL_S:
                    wait = RETRY_FIRST_S
                self._box.say(
                    f"bachbox: {control.name}: a mistake in Bachbox itself "
                    f"({type(error).__name__}: {error}); the music goes on, next try in {wait:g} s"
                )
                await asyncio.sleep(wait)
                wait = min(2 * wait, RETRY_MAX_S)
                continue
            return
