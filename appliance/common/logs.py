"""From log records to text: a sentence for people, or a line that the daemon can read back.

Modules log through ``logging.getLogger(__name__)``. A bug is logged with its traceback
(``logger.exception``); people see the sentence, and the traceback where they asked for it.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Final, NamedTuple

PREFIX: Final = "bachbox: "
"""How each message begins on a terminal, so that users know where it comes from."""

_CONTINUED: Final = "\t"
"""How a line begins that belongs to the record on the line before it."""

NOTICE: Final = 25
"""The level of what was left out of a user's file, or not taken as it is written."""
logging.addLevelName(NOTICE, "NOTICE")

AS_NOTICE: Final = {"is_notice": True}
"""The ``extra`` of a record that status and health page show as they show notices."""

_SYSLOG_PRIORITIES: Final = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    NOTICE: 5,
    logging.INFO: 6,
    logging.DEBUG: 7,
}

_LEVELS: Final = {priority: level for level, priority in _SYSLOG_PRIORITIES.items()}


def syslog_priority(level: int) -> int:
    """Return the priority of syslog(3), 2 to 7, for a level of :mod:`logging`."""
    return next(
        (priority for known, priority in _SYSLOG_PRIORITIES.items() if level >= known),
        _SYSLOG_PRIORITIES[logging.DEBUG],
    )


def traceback_of(record: logging.LogRecord) -> str:
    """Return the traceback that was logged with ``record``, maybe by another process, or ""."""
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return str(getattr(record, "traceback", ""))


class SentenceFormatter(logging.Formatter):
    """Writes ``bachbox: MESSAGE``, and below it the traceback, if there is one and it is wanted."""

    def __init__(self, *, tracebacks: bool = False) -> None:
        super().__init__()
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        """Return the text, without a newline at its end."""
        text = "\n".join(f"{PREFIX}{line}" for line in record.getMessage().splitlines())
        traceback = traceback_of(record) if self._tracebacks else ""
        return f"{text}\n{traceback}" if traceback else text


class WorkerFormatter(logging.Formatter):
    """Writes what :class:`WorkerRecord` reads: ``<PRIORITY>MESSAGE``, as in sd-daemon(3).

    The lines of a traceback follow, each after a tab.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the text, without a newline at its end."""
        message = " ".join(record.getMessage().splitlines())
        lines = [f"<{syslog_priority(record.levelno)}>{message}"]
        lines += [f"{_CONTINUED}{line}" for line in traceback_of(record).splitlines()]
        return "\n".join(lines)


class WorkerRecord(NamedTuple):
    """What a worker process has logged."""

    level: int
    """As in :mod:`logging`."""
    message: str
    traceback: str = ""

    @classmethod
    def parse(cls, line: str) -> WorkerRecord:
        """Return the record that begins with ``line``; a line in another form is a warning."""
        if len(line) > 2 and line[0] == "<" and line[2] == ">" and line[1].isdecimal():
            level = _LEVELS.get(int(line[1]), logging.WARNING)
            return cls(level, line[3:])
        return cls(logging.WARNING, line)

    def continued(self, line: str) -> WorkerRecord | None:
        """Return the record with ``line`` added; None if the line does not belong to it."""
        if not line.startswith(_CONTINUED):
            return None
        added = line.removeprefix(_CONTINUED)
        return self._replace(traceback=f"{self.traceback}\n{added}" if self.traceback else added)


class StderrHandler(logging.Handler):
    """Writes to whatever ``sys.stderr`` is at that moment."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; an output that is closed is no reason to fail."""
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


_installed: list[logging.Handler] = []


def install(*handlers: logging.Handler, verbose: bool = False) -> None:
    """Send what this process logs to ``handlers``, in place of those installed before.

    With ``verbose``, debug messages of Bachbox too; of libraries, warnings and errors only.
    """
    root = logging.getLogger()
    while _installed:
        root.removeHandler(_installed.pop())
    for handler in handlers:
        root.addHandler(handler)
        _installed.append(handler)
    logging.getLogger("appliance").setLevel(logging.DEBUG if verbose else logging.INFO)


def install_in_worker(*, verbose: bool = False) -> None:
    """Send what this worker process logs to standard error, where the daemon reads it."""
    install(StderrHandler(WorkerFormatter()), verbose=verbose)
