"""A signal for a child never takes its exit code away from asyncio."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.common.child_processes import send_signal


@pytest.fixture(autouse=True)
def _reaped_by_the_loop() -> Iterator[None]:
    """Children are waited for by the event loop, as from Python 3.12 on, not by a thread."""
    if sys.version_info >= (3, 12):
        yield
        return
    usual = asyncio.get_child_watcher()
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    yield
    asyncio.set_child_watcher(usual)


def test_a_child_that_has_just_ended_keeps_its_exit_code(caplog: pytest.LogCaptureFixture) -> None:
    async def code() -> int:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", "read line; exit 3", stdin=asyncio.subprocess.PIPE
        )
        assert process.stdin is not None
        process.stdin.write(b"\n")
        # The event loop knows nothing of its end as long as it does not run.
        while ") Z " not in Path(f"/proc/{process.pid}/stat").read_text():
            time.sleep(0.01)
        send_signal(process, signal.SIGKILL)
        return await process.wait()

    assert asyncio.run(code()) == 3
    assert not caplog.records


def test_a_running_child_gets_the_signal_and_one_that_is_gone_does_not() -> None:
    async def code() -> int:
        process = await asyncio.create_subprocess_exec("sleep", "60")
        send_signal(process, signal.SIGTERM)
        found = await process.wait()
        send_signal(process, signal.SIGKILL)
        return found

    assert asyncio.run(code()) == -signal.SIGTERM
