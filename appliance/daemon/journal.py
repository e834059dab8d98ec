"""The log in systemd's journal: the same sentences, with fields that programs can search.

systemd-python is used here and in ``frontends/systemd_notify.py`` only; both work without it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final, TextIO

from appliance.common.logs import syslog_priority, traceback_of
from appliance.daemon.journal_events import BUG, JournalEvent

_STANDARD_ATTRIBUTES: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "asctime", "message", "taskName", "event", "traceback"}
)
"""Attributes of a log record that are not fields of an event."""


class JournalHandler(logging.Handler):
    """Sends each record as one journal entry, a bug with its traceback.

    Args:
        send: systemd's ``journal.send``, or a function with the same signature.
    """

    def __init__(self, send: Callable[..., Any]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send ``record``; an error of the journal is no reason to fail."""
        traceback = traceback_of(record)
        message = f"{record.getMessage()}\n{traceback}" if traceback else record.getMessage()
        event: JournalEvent | None = getattr(record, "event", BUG if traceback else None)
        with contextlib.suppress(OSError):
            self._send(
                message,
                MESSAGE_ID=event.id if event else None,
                PRIORITY=str(syslog_priority(record.levelno)),
                # It names Bachbox already, so that the sentence does not have to.
                SYSLOG_IDENTIFIER="bachbox",
                CODE_FILE=record.pathname,
                CODE_LINE=record.lineno,
                CODE_FUNC=record.funcName,
                **_event_fields(record),
            )


def journal_handler() -> JournalHandler | None:
    """Return a handler if standard error is connected to the journal.

    None if it is not, or without systemd-python.
    """
    if _is_journal(sys.stderr):
        with contextlib.suppress(ImportError):
            from systemd import journal

            return JournalHandler(journal.send)
    return None


def _event_fields(record: logging.LogRecord) -> dict[str, str]:
    if not hasattr(record, "event") and record.name.partition(".")[0] != "appliance":
        return {}  # Extra attributes of a library.
    return {
        f"BACHBOX_{name.upper()}": str(value)
        for name, value in vars(record).items()
        if name not in _STANDARD_ATTRIBUTES
    }


def _is_journal(stream: TextIO) -> bool:
    """Return whether systemd has connected ``stream``: it names it by device and inode."""
    connected = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return connected == f"{status.st_dev}:{status.st_ino}"
