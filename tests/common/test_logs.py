from __future__ import annotations

import io
import logging
import sys

import pytest

from appliance.common import logs
from appliance.common.logs import SentenceFormatter, WorkerFormatter, WorkerRecord


def record(level: int, message: str, *args: object) -> logging.LogRecord:
    exc_info = sys.exc_info() if sys.exc_info()[0] else None
    return logging.LogRecord("appliance.test", level, "file.py", 1, message, args, exc_info)


def bug() -> logging.LogRecord:
    try:
        raise TypeError("wrong type")
    except TypeError:
        return record(logging.ERROR, "it broke")


def test_sentence_formatter_prefixes_every_line() -> None:
    text = SentenceFormatter().format(record(logging.INFO, "played %d s\nand more", 3))
    assert text == "bachbox: played 3 s\nbachbox: and more"


def test_traceback_is_shown_only_when_wanted() -> None:
    assert SentenceFormatter().format(bug()) == "bachbox: it broke"
    shown = SentenceFormatter(tracebacks=True).format(bug())
    assert shown.startswith("bachbox: it broke\nTraceback (most recent call last):\n")
    assert shown.endswith("TypeError: wrong type")


@pytest.mark.parametrize(
    ("level", "start"),
    [
        (logging.DEBUG, "<7>"),
        (logging.INFO, "<6>"),
        (logs.NOTICE, "<5>"),
        (logging.WARNING, "<4>"),
        (logging.ERROR, "<3>"),
    ],
)
def test_worker_lines_carry_their_level(level: int, start: str) -> None:
    line = WorkerFormatter().format(record(level, "hello"))
    assert line == f"{start}hello"
    assert WorkerRecord.parse(line) == WorkerRecord(level, "hello")


def test_worker_traceback_survives_the_pipe() -> None:
    first, *rest = WorkerFormatter().format(bug()).splitlines()
    parsed = WorkerRecord.parse(first)
    for line in rest:
        longer = parsed.continued(line)
        assert longer is not None
        parsed = longer
    assert parsed.message == "it broke"
    assert parsed.traceback == logs.traceback_of(bug())
    assert parsed.continued("<6>another record") is None


def test_foreign_lines_are_warnings() -> None:
    assert WorkerRecord.parse("Segmentation fault") == WorkerRecord(
        logging.WARNING, "Segmentation fault"
    )
    assert WorkerRecord.parse("<x>") == WorkerRecord(logging.WARNING, "<x>")


def test_install_replaces_what_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    root, logger = logging.getLogger(), logging.getLogger("appliance.test")
    logs.install()  # Whatever a test before this one installed.
    before, level = root.handlers.copy(), logging.getLogger("appliance").level
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    try:
        logs.install(logs.StderrHandler(SentenceFormatter()))
        logs.install(logs.StderrHandler(SentenceFormatter()), verbose=True)
        logger.debug("once")
        assert isinstance(sys.stderr, io.StringIO)
        assert sys.stderr.getvalue() == "bachbox: once\n"
    finally:
        logs.install()
        logging.getLogger("appliance").setLevel(level)
    assert root.handlers == before
