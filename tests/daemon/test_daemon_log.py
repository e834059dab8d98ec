"""The daemon's log: what is shown when, where tracebacks go, and what workers report."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.common import logs
from appliance.daemon.child_output import ChildOutput
from appliance.daemon.daemon_log import RECENT_LINES, DaemonLog
from appliance.daemon.status_line import StatusLine
from appliance.daemon.supervisor import Child, ChildSpec
from appliance.errors import BachboxError, UsageError
from tests.support.log_lines import log_lines

FRONTEND = logging.getLogger("appliance.frontends.test")
COMPOSER = logging.getLogger("appliance.workers.composer_process")
DAEMON = logging.getLogger("appliance.daemon.test")


@pytest.fixture(autouse=True)
def _uninstall() -> Iterator[None]:
    level = logging.getLogger("appliance").level
    yield
    logs.install()
    logging.getLogger("appliance").setLevel(level)


def daemon_log(*, verbose: bool = False) -> tuple[DaemonLog, io.StringIO]:
    stream = io.StringIO()
    log = DaemonLog(StatusLine(stream), verbose=verbose)
    log.install()
    return log, stream


def log_a_bug() -> None:
    try:
        raise TypeError("wrong type")
    except TypeError:
        FRONTEND.exception("a bug in Bachbox (TypeError: wrong type)")


def test_frontends_messages_are_held_back_until_the_log_is_open() -> None:
    log, stream = daemon_log()
    FRONTEND.info("mqtt: connected")
    COMPOSER.warning("the composer was ended by SIGKILL")
    DAEMON.info("chorales composes")
    assert stream.getvalue() == (
        "bachbox: the composer was ended by SIGKILL\nbachbox: chorales composes\n"
    )
    log.open()
    FRONTEND.info("mqtt: is lost")
    assert stream.getvalue().endswith("bachbox: mqtt: connected\nbachbox: mqtt: is lost\n")


def test_bug_shows_its_sentence_at_once_and_its_traceback_if_verbose() -> None:
    _, stream = daemon_log()
    log_a_bug()
    assert stream.getvalue() == "bachbox: a bug in Bachbox (TypeError: wrong type)\n"
    _, stream = daemon_log(verbose=True)
    log_a_bug()
    assert "Traceback (most recent call last):" in stream.getvalue()


def test_debug_messages_are_shown_only_if_verbose() -> None:
    log, stream = daemon_log()
    log.open()
    FRONTEND.debug("details")
    assert not stream.getvalue()
    log, stream = daemon_log(verbose=True)
    log.open()
    FRONTEND.debug("details")
    assert stream.getvalue() == "bachbox: details\n"


def test_recent_lines_are_the_last_ones_with_their_time() -> None:
    log, _ = daemon_log()
    log.open()
    for number in range(RECENT_LINES + 5):
        FRONTEND.info("line %d", number)
    lines = log.recent.lines()
    assert len(lines) == RECENT_LINES
    assert lines[-1][8:] == f" line {RECENT_LINES + 4}"


def read_output(written: bytes) -> ChildOutput:
    output = ChildOutput("composer", COMPOSER)

    async def run() -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(written)
        stream.feed_eof()
        await output.read(stream)

    asyncio.run(run())
    return output


def test_child_output_keeps_levels_and_skips_library_chatter() -> None:
    output = read_output(b"INFO: Created TensorFlow Lite delegate\n<6>one\n\n<3>two\nplain\n")
    with log_lines() as lines:
        output.log()
    assert lines == ["composer: one", "composer: two", "composer: plain"]


def test_notices_of_the_composer_are_kept_once() -> None:
    log, _ = daemon_log()
    log.open()
    notice = "/music/mine.mid: the pedal was taken as length"
    for _ in range(2):
        COMPOSER.log(logs.NOTICE, "composer: %s", notice, extra={"child": "composer"})
    COMPOSER.warning("another thing")
    assert log.recent.notices() == [notice]
    assert len(log.recent.lines()) == 3


@pytest.mark.parametrize(("code", "kind"), [(1, BachboxError), (2, UsageError)])
def test_child_output_ends_with_the_childs_error(code: int, kind: type[BachboxError]) -> None:
    output = read_output(b"<6>one\n<3>a.tflite: damaged: get it again\n")
    with log_lines() as lines:
        error = output.error(code)
    assert type(error) is kind
    assert str(error) == "a.tflite: damaged: get it again"
    assert lines == ["composer: one"]


def test_child_with_a_bug_leaves_its_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.py").write_text(
        "import logging, sys\n"
        "from appliance.common import logs\n"
        "logs.install_in_worker()\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('appliance.x').exception('it broke')\n"
        "sys.exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    child = Child(ChildSpec("broken", lambda: ["broken"], 2, lambda: 0, COMPOSER))
    with pytest.raises(BachboxError, match="it broke"):
        asyncio.run(child.run())
    [record] = caplog.records
    assert record.getMessage() == "broken: it broke"
    assert "ZeroDivisionError: division by zero" in logs.traceback_of(record)
