"""What a child process logs, read from its standard error."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Final

from appliance.common.logs import WorkerRecord
from appliance.daemon.journal_events import JournalEvent
from appliance.errors import ERROR_BY_EXIT_CODE, BachboxError

_LIBRARY_CHATTER: Final = "INFO: "
"""How ai-edge-litert begins the lines that it writes without being asked."""


class ChildOutput:
    """Holds back what a child logs until it is clear whether the child lives on.

    If it fails for good, its last error is what the daemon fails with, and is not logged too.

    Args:
        name: what the child is called in the log.
        logger: where to log.
    """

    def __init__(self, name: str, logger: logging.Logger) -> None:
        self._name = name
        self._logger = logger
        self._held_back: list[tuple[float, WorkerRecord]] = []
        """With the time at which each was read."""
        self._last_logged: WorkerRecord | None = None

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read ``stream`` to its end."""
        while line := await _next_line(stream):
            if line.startswith(_LIBRARY_CHATTER):
                continue
            if self._held_back and (longer := self._held_back[-1][1].continued(line)):
                self._held_back[-1] = (self._held_back[-1][0], longer)
            else:
                self._held_back.append((time.monotonic(), WorkerRecord.parse(line)))

    def log(self, before: float = math.inf, event: JournalEvent | None = None) -> None:
        """Log what was read before the monotonic time ``before``.

        Args:
            before: in seconds.
            event: what the last of the records is about.
        """
        while self._held_back and self._held_back[0][0] < before:
            _, record = self._held_back.pop(0)
            # That a sound card is still missing is logged once.
            if record != self._last_logged:
                about = {"event": event} if event and not self._held_back else {}
                self._logger.log(
                    record.level, "%s: %s", self._name, record.message,
                    extra={"child": self._name, "traceback": record.traceback, **about},
                )  # fmt: skip
            self._last_logged = record

    def discard(self) -> None:
        """Forget what was not logged yet."""
        self._held_back.clear()

    def error(self, exit_code: int) -> BachboxError | None:
        """Return the error that a child with this exit code ended with, and log the rest.

        None if it wrote nothing.
        """
        last = self._held_back.pop()[1] if self._held_back else None
        self.log()
        if last is None:
            return None
        if last.traceback:
            self._logger.error(
                "%s: %s", self._name, last.message,
                extra={"child": self._name, "traceback": last.traceback},
            )  # fmt: skip
        return ERROR_BY_EXIT_CODE[exit_code](last.message)


async def _next_line(stream: asyncio.StreamReader) -> str:
    """Return the next line that is not blank, "" at the end; an overlong line comes in pieces."""
    while True:
        try:
            raw = await stream.readline()
        except ValueError:
            continue
        if not raw:
            return ""
        if text := raw.decode(errors="replace").rstrip():
            return text
