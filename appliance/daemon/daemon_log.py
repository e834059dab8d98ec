"""Where the daemon's log goes: to the terminal, above the status line, or to the journal.

Until the composer works, most records are held back: if it fails at once, the reason is all that
a person should have to read.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Final

from appliance.common import logs
from appliance.common.logs import SentenceFormatter, traceback_of
from appliance.daemon.journal import journal_handler
from appliance.daemon.status_line import StatusLine

RECENT_LINES: Final = 100
"""How many of the last messages are kept for the health page."""

NEVER_HELD_BACK: Final = ("appliance.daemon", "appliance.workers.composer_process")
"""The loggers whose messages, with those of the loggers below them, always go out at once."""


class TerminalHandler(logging.Handler):
    """Writes each record above the status line."""

    def __init__(self, status_line: StatusLine, *, verbose: bool = False) -> None:
        super().__init__()
        self._status_line = status_line
        self.setFormatter(SentenceFormatter(tracebacks=verbose))

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        self._status_line.print_above(self.format(record))


class RecentLines(logging.Handler):
    """Keeps the last :data:`RECENT_LINES` messages, each after the time of day; and notices."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=RECENT_LINES)
        self._notices: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep ``record``."""
        if record.levelno == logs.NOTICE or getattr(record, "is_notice", False):
            child = f"{getattr(record, 'child', '')}: "
            self._notices[record.getMessage().removeprefix(child)] = None
        self._lines.append(f"{time.strftime('%H:%M:%S')} {record.getMessage()}")

    def lines(self) -> list[str]:
        """Return the messages, the oldest first."""
        self.acquire()
        try:
            return list(self._lines)
        finally:
            self.release()

    def notices(self) -> list[str]:
        """Return what status and health page show; a composer that takes over says it again."""
        return list(self._notices)


class HoldingHandler(logging.Handler):
    """Passes records to ``handlers``; until :meth:`open`, it holds back those that can wait."""

    def __init__(self, *handlers: logging.Handler) -> None:
        super().__init__()
        self._handlers = handlers
        self._held_back: list[logging.LogRecord] | None = []
        """None when the handler is open."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass ``record`` on, or hold it back."""
        if self._held_back is not None and _can_wait(record):
            self._held_back.append(record)
        else:
            self._pass_on(record)

    def open(self) -> None:
        """Pass on what was held back; from now on hold nothing back."""
        self.acquire()
        try:
            held_back, self._held_back = self._held_back or [], None
            for record in held_back:
                self._pass_on(record)
        finally:
            self.release()

    def _pass_on(self, record: logging.LogRecord) -> None:
        for handler in self._handlers:
            handler.handle(record)


class DaemonLog:
    """The log of ``bachbox play``.

    Args:
        status_line: what a person sees; by default on standard error.
        verbose: log debug messages, and show tracebacks on the terminal.
    """

    def __init__(self, status_line: StatusLine | None = None, *, verbose: bool = False) -> None:
        self.verbose = verbose
        journal = journal_handler() if status_line is None else None
        self.status_line = status_line or StatusLine()
        self.recent = RecentLines()
        self._handler = HoldingHandler(
            journal or TerminalHandler(self.status_line, verbose=verbose), self.recent
        )

    def install(self) -> None:
        """Send everything that this process logs to this log."""
        logs.install(self._handler, verbose=self.verbose)

    def open(self) -> None:
        """Show what was held back; from now on show everything at once."""
        self._handler.open()


def _can_wait(record: logging.LogRecord) -> bool:
    urgent = any(f"{record.name}.".startswith(f"{name}.") for name in NEVER_HELD_BACK)
    return not urgent and not traceback_of(record)
