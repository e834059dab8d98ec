"""Runs ``bachbox render`` as a process: the daemon has no synthesizer and no model."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from appliance.common.child_processes import send_signal
from appliance.errors import ERROR_BY_EXIT_CODE, BachboxError

TIMEOUT_S: Final = 300.0
"""A Raspberry Pi needs ten seconds for a minute of sound, so this is generous."""

_NICENESS: Final = 10


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """Yield a folder that exists as long as the context."""
    # /tmp may be in memory, and ten minutes of sound take 115 MB.
    parent = "/var/tmp" if os.access("/var/tmp", os.W_OK) else None  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="bachbox-", dir=parent) as folder:
        yield Path(folder)


async def render(*arguments: str | Path) -> list[str]:
    """Run ``bachbox render`` with low priority, and return the lines that it says.

    Raises:
        BachboxError: it failed, with the reason it gave; a UsageError if what it was given is
            at fault.
    """
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", str(_NICENESS), sys.executable, "-m", "appliance", "render"),
        *("--config", os.devnull, *map(str, arguments)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, stderr = await process.communicate()
    except TimeoutError as error:
        raise BachboxError("it took too long; try again") from error
    finally:
        send_signal(process, signal.SIGKILL)
    lines = stderr.decode(errors="replace").strip().splitlines()
    if process.returncode:
        reason = lines[-1].removeprefix("bachbox: ") if lines else "no reason given"
        raise ERROR_BY_EXIT_CODE.get(process.returncode, BachboxError)(f"{reason:.300}")
    return lines
