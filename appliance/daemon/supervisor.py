"""A child process that is always there: started, watched, and replaced when it dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from appliance.common.backoff import Backoff
from appliance.common.child_processes import send_signal
from appliance.common.procfs import ProcessStat, ran_s, read_stat
from appliance.daemon.child_output import ChildOutput
from appliance.daemon.journal_events import (
    CHILD_ENDED,
    CHILD_HANGS,
    CHILD_LEAKS,
    NO_SOUND_CARD,
)
from appliance.errors import ERROR_BY_EXIT_CODE, BachboxError
from appliance.ipc.shared_state import EXIT_NO_CARD, EXIT_OTHER_OUTPUT

POLL_INTERVAL_S: Final = 0.1
"""How often a child is looked at."""

HANG_TIMEOUT_S: Final = 2.0
"""A child without a heartbeat for this long hangs. Short enough for another composer to be at work
before the look-ahead has been played."""

RUNNABLE_OR_READING: Final = "RD"
"""States of a process that waits for nothing but a processor or a disk, see proc_pid_stat(5)."""

MAX_WAITED_SHARE: Final = 0.95
"""While a child could run, time in which others have the processor does not count as silence, up
to this share: a child in an endless loop on a busy machine is found later, and found."""

STOPPED_TIMEOUT_S: Final = 0.3
"""A child that a signal has stopped is replaced sooner than one that is only silent."""

START_TIMEOUT_S: Final = 30.0
START_TIMEOUT_PER_CPU_S: Final = 10.0
START_TIMEOUT_MAX_S: Final = 300.0
"""Before its first heartbeat a child may take the first of these, and the second for each second
of processor time that it has used, but no longer than the third. A large soundfont on a small
machine takes its time; a child that waits for nothing is found soon, and one in an endless loop
later."""

RETRY_FIRST_S: Final = 0.25
RETRY_MAX_S: Final = 10.0
"""The first replacement starts at once, the next ones after these, doubled each time."""

BACKOFF_RESET_S: Final = 30.0
"""After a child has run for this long, its earlier failures no longer count."""

MAX_FAILED_STARTS: Final = 3
"""After this many failures in a row before the first heartbeat ever, the daemon gives up."""

GROWTH_FACTOR: Final = 2
GROWTH_MB: Final = 64
"""A child may grow to this multiple of its size at its first heartbeat, plus this many megabytes.
The performer is as large as its soundfont, which may be large."""

CARD_POLL_INTERVAL_S: Final = 2.0
"""How often a missing sound card is looked for."""

_GONE: Final = ProcessStat("X", 0, 0.0)


def _do_nothing(*_: Any) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class ChildSpec:
    """What the supervisor has to know about a child process."""

    name: str
    arguments: Callable[[], Sequence[str]]
    """Asked at each start; the first one is the Python module to run."""
    shared_fd: int
    """File descriptor of the shared memory, which the child inherits."""
    heartbeat: Callable[[], int]
    """Gives a number that changes while the child works."""
    logger: logging.Logger
    """For everything about this child, and for what it logs itself."""
    set_priority: Callable[[int], None] = _do_nothing
    """Gives a new process, by its ID, the priority that it may have."""
    likely_cause: Callable[[], str] = lambda: "this installation"
    """What may be damaged if it crashes before it has ever worked."""
    failures_are_final: Callable[[], bool] = lambda: False
    """Whether something that fails after it has worked would fail again in a new process."""
    on_failure: Callable[[], None] = _do_nothing
    """Called when one that has worked before ended with an error, before it is started again."""
    on_end: Callable[[], None] | None = None
    """Called in a thread after each process, however it ended, before the next one starts."""
    on_missing_card: Callable[[], bool] = lambda: False
    """Called when there is no sound card; True to start again at once, with new arguments."""


class Child:
    """Keeps one child process running."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.restarts = 0
        """Replacements of one that died or hung, but not of one that waits for a sound card."""
        self.has_ever_worked = False
        """A heartbeat was seen, of this process or of one before it."""
        self._works = False
        """A heartbeat of this process was seen."""
        self._process: asyncio.subprocess.Process | None = None
        self._output = ChildOutput(spec.name, spec.logger)
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The ID of the current process."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep the child process running until :meth:`stop`.

        Raises:
            BachboxError: it cannot work, and neither could another.
        """
        spec, failures = self.spec, 0
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, first_at_once=True)
        while not self._stopping.is_set():
            started_at = time.monotonic()
            code = await self._run_once()
            if spec.on_end:
                await asyncio.to_thread(spec.on_end)
            if self._stopping.is_set():
                return
            if code == EXIT_NO_CARD:
                # It began, and found no card: what failed before is no damage. A box may look for
                # a card for weeks.
                failures = 0
                await self._wait_for_card()
                continue
            if code == EXIT_OTHER_OUTPUT:
                self._output.log()
                continue
            failed = code in ERROR_BY_EXIT_CODE
            if failed and (spec.failures_are_final() or not self.has_ever_worked):
                raise self._output.error(code) or BachboxError(
                    f"the {spec.name} {_ended(code)} without an error message"
                )
            self._output.log()
            if not self.has_ever_worked and failures + 1 >= MAX_FAILED_STARTS:
                raise BachboxError(
                    f"the {spec.name} {_ended(code)} {MAX_FAILED_STARTS} times before it could "
                    f"begin: {spec.likely_cause()} may be damaged",
                    remedy="try another",
                )
            if time.monotonic() - started_at > BACKOFF_RESET_S:
                failures = 0
                backoff.reset()
            failures += 1
            self.restarts += 1
            if failed:
                spec.on_failure()
            wait_s = backoff.next_s()
            spec.logger.warning(
                "the %s %s; another one starts%s",
                spec.name, _ended(code), f" in {wait_s:g} s" if wait_s else "",
                extra={"event": CHILD_ENDED, "child": spec.name, "code": code,
                       "restarts": self.restarts},
            )  # fmt: skip
            await self._sleep(wait_s)

    async def stop(self, timeout_s: float) -> None:
        """Ask the child process to end, and kill it if it still runs after ``timeout_s``."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        send_signal(process, signal.SIGTERM)
        # A process that a signal has stopped could not even end.
        send_signal(process, signal.SIGCONT)
        try:
            await asyncio.wait_for(process.wait(), timeout_s)
        except TimeoutError:
            send_signal(process, signal.SIGKILL)
            await process.wait()

    async def _wait_for_card(self) -> None:
        if self.spec.on_missing_card():
            self._output.discard()
        else:
            self._output.log(event=NO_SOUND_CARD)
            await self._sleep(CARD_POLL_INTERVAL_S)

    async def _run_once(self) -> int:
        """Start a process and return its exit code."""
        self._works = False
        # In a process group of its own: a terminal's Ctrl-C goes to the daemon, which ends its
        # children in its own order.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self.spec.arguments()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(self.spec.shared_fd,),
            process_group=0,
        )
        self._process = process
        self.spec.logger.debug("the %s starts as process %d", self.spec.name, process.pid)
        with contextlib.suppress(ProcessLookupError):
            self.spec.set_priority(process.pid)
        if self._stopping.is_set():
            send_signal(process, signal.SIGTERM)
        assert process.stderr is not None
        reader = asyncio.create_task(self._output.read(process.stderr))
        watcher = asyncio.create_task(self._watch(process))
        try:
            return await process.wait()
        finally:
            watcher.cancel()
            # Its last output is still in the pipe; a grandchild could keep the pipe open for ever.
            await asyncio.wait([reader], timeout=1.0)
            reader.cancel()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process when it hangs, or when it leaks memory."""
        last_beat, last_look = self.spec.heartbeat(), time.monotonic()
        silent_s = stopped_s = max_mb = last_ran_s = 0.0
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            beat, now = self.spec.heartbeat(), time.monotonic()
            stat, all_ran_s = read_stat(process.pid) or _GONE, ran_s(process.pid)
            mb = stat.rss_bytes / 1e6
            # At most a few intervals: if the daemon slept (a suspended machine, a stopped
            # process), the child may have slept too.
            passed_s = min(now - last_look, 5 * POLL_INTERVAL_S)
            # Nor does a child hang that waits for the machine.
            waits = stat.state in RUNNABLE_OR_READING
            waited_s = passed_s - (all_ran_s - last_ran_s) if waits else 0.0
            silent_s += passed_s - max(0.0, min(waited_s, MAX_WAITED_SHARE * passed_s))
            stopped_s = stopped_s + passed_s if stat.state == "T" else 0.0
            last_look, last_ran_s = now, all_ran_s
            if beat != last_beat:
                last_beat, silent_s = beat, 0.0
                self._works = self.has_ever_worked = True
                max_mb = max_mb or GROWTH_FACTOR * mb + GROWTH_MB
            if self._works and stat.state not in "ZX":
                self._output.log(before=now - POLL_INTERVAL_S)
            if max_mb and mb > max_mb:
                self.spec.logger.warning(
                    "the %s has grown to %.0f MB and is killed", self.spec.name, mb,
                    extra={"event": CHILD_LEAKS, "child": self.spec.name, "mb": round(mb)},
                )  # fmt: skip
                send_signal(process, signal.SIGKILL)
                return
            timeout_s = HANG_TIMEOUT_S if self._works else start_timeout_s(stat.cpu_s)
            if silent_s > timeout_s or stopped_s > STOPPED_TIMEOUT_S:
                self.spec.logger.warning(
                    "the %s hangs and is killed", self.spec.name,
                    extra={"event": CHILD_HANGS, "child": self.spec.name},
                )  # fmt: skip
                send_signal(process, signal.SIGKILL)
                return

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def start_timeout_s(cpu_s: float) -> float:
    """Return how long a child may take to its first heartbeat, given its processor time so far."""
    return min(START_TIMEOUT_S + START_TIMEOUT_PER_CPU_S * cpu_s, START_TIMEOUT_MAX_S)


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with {code}"
