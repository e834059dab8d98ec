"""Runs the frontends in the daemon: watched, restarted after a bug, and kept apart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from appliance.common.backoff import Backoff
from appliance.common.logs import AS_NOTICE
from appliance.errors import BachboxError, bug_sentence
from appliance.frontends.base import SHUTDOWN_TIMEOUT_S, Frontend
from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
"""A frontend that failed is started again after these; the waiting time doubles each time."""

BACKOFF_RESET_S: Final = 60.0
"""A frontend that has worked for this long is retried soon again after its next failure."""

logger = logging.getLogger(__name__)


class FrontendRunner:
    """Runs frontends side by side; none of them can harm another, or the music."""

    def __init__(self, frontends: Sequence[Frontend], settings: Settings, box: BoxStatus) -> None:
        self._frontends = frontends
        self._settings = settings
        self._box = box
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all frontends."""
        self._tasks = [
            asyncio.create_task(self._keep_running(frontend), name=frontend.name)
            for frontend in self._frontends
        ]

    async def stop(self) -> None:
        """Cancel all frontends, and wait for at most :data:`SHUTDOWN_TIMEOUT_S`."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SHUTDOWN_TIMEOUT_S)

    async def _keep_running(self, frontend: Frontend) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, reset_after_s=BACKOFF_RESET_S)
        while True:
            started_at = loop.time()
            logger.debug("%s: started", frontend.name)
            try:
                await frontend.run(self._settings, self._box)
            except BachboxError as error:
                logger.error("%s: %s", frontend.name, error, extra=AS_NOTICE)
            except Exception as error:
                wait_s = backoff.next_s(loop.time() - started_at)
                logger.exception(
                    "%s: %s; the music continues, next try in %g s",
                    frontend.name, bug_sentence(error), wait_s,
                )  # fmt: skip
                await asyncio.sleep(wait_s)
                continue
            logger.debug("%s: ended", frontend.name)
            return
