"""The journal in place of a terminal: the same sentences, with fields that programs can look for.

systemd-python is wanted here and in ``frontends/systemd_notify.py`` only, and both do without it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, TextIO

from appliance.daemon.journal_events import INFO, Event
from appliance.daemon.status_line import StatusLine


def line() -> StatusLine:
    """Where sentences go: to the journal where standard error goes there too."""
    if _is_journal(sys.stderr):
        with contextlib.suppress(ImportError):
            from systemd import journal

            return JournalLog(journal.send)
    return StatusLine()


class JournalLog(StatusLine):
    """Sends each sentence with ``send``, which is systemd's ``journal.send`` or alike."""

    def __init__(self, send: Any) -> None:
        super().__init__()
        self.living = False
        self._send = send

    def say(self, sentence: str, event: Event | None = None, **facts: str | int) -> None:
        """One entry in the journal."""
        self._remember(sentence)
        fields = {f"BACHBOX_{name.upper()}": str(value) for name, value in facts.items()}
        self._send(
            # Whose sentence it is says the identifier already.
            sentence.removeprefix("bachbox: "),
            MESSAGE_ID=event.id if event else None,
            PRIORITY=str(event.priority if event else INFO),
            SYSLOG_IDENTIFIER="bachbox",
            CODE_FUNC="say",
            **fields,
        )


def _is_journal(stream: TextIO) -> bool:
    """Whether systemd has connected it: it names the stream by device and inode."""
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{status.st_dev}:{status.st_ino}"
