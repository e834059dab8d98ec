"""A child process that is always there: started, watched, and replaced when it dies or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from appliance.daemon.journal_events import (
    CHILD_ENDED,
    CHILD_HANGS,
    CHILD_LEAKS,
    NO_CARD,
    Event,
    Say,
)
from appliance.errors import BachboxError, UsageError
from appliance.ipc.shared_state import EXIT_NO_CARD

POLL_INTERVAL_S: Final = 0.1
"""How often a child is looked at."""

HANG_S: Final = 2.0
"""A heart that has not beaten for so long belongs to a child that hangs: short enough that another
composer is at work before the look-ahead is over."""

START_S: Final = 30.0
START_FACTOR: Final = 10.0
START_MAX_S: Final = 300.0
"""Before its first beat: so long, and so many times the processor time that it has used, but no
longer than the last. A large soundfont on a small machine takes its time; one that waits for
nothing is soon found, and so, later, is one that goes round in circles."""

RETRY_FIRST_S: Final = 0.25
RETRY_MAX_S: Final = 10.0
"""The first replacement comes at once, the next after these, doubled each time."""

STOPPED_S: Final = 0.3
"""A child that a signal has stopped is not waited for until its heart is missed."""

GROWTH_FACTOR: Final = 2
GROWTH_MB: Final = 64
"""A child may grow to so many times what it had at its first heartbeat, and this on top: the
performer's size is its soundfont's, which may be large."""

WELL_S: Final = 30.0
"""After so long at work a child's earlier deaths are forgotten."""

MAX_FALSE_STARTS: Final = 3
"""So many deaths before the first heartbeat ever, and we no longer believe in it."""

CARD_S: Final = 2.0
"""How often a missing sound card is looked for."""


_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")

_CHATTER: Final = "INFO: "
"""How ai-edge-litert begins what it tells of itself and nobody has asked."""


class Child:
    """Keeps one child process running.

    ``arguments`` are asked for at each start and name a module first; the child gets the file
    descriptor ``fd``. ``heartbeat`` gives a number that changes while the child works. ``say``
    takes its lines. ``hasten`` gives a new process, by its ID, the priority that it may have.
    """

    def __init__(
        self,
        name: str,
        arguments: Callable[[], Sequence[str]],
        fd: int,
        heartbeat: Callable[[], int],
        say: Say,
        hasten: Callable[[int], None],
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._fd = fd
        self._heartbeat = heartbeat
        self._say = say
        self._hasten = hasten
        self._process: asyncio.subprocess.Process | None = None
        self._held_back: list[tuple[float, str]] = []
        """When it said what; its last sentence, if it fails, is ours to say."""
        self._last_said = ""
        self._worked = False
        """Its heart has beaten since it was started."""
        self._stopping = asyncio.Event()
        self.restarts = 0
        """Replacements of one that died or hung, not of one that waits for a sound card."""
        self.has_worked = False
        """Its heart has beaten at least once since the daemon was started."""
        self.suspect = "this installation"
        """What is to blame where it crashes before it begins."""
        self.failures_are_final = False
        """What a child that has worked before cannot do, another could not either."""
        self.failed: Callable[[], None] = lambda: None
        """Told when one that has worked before says that it cannot, before it is tried again."""
        self.missing_card: Callable[[], bool] = lambda: False
        """Asked when there is no sound card: True to try again at once with new arguments."""

    @property
    def pid(self) -> int | None:
        """The process there is just now."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep it running until :meth:`stop`.

        Raises:
            BachboxError: it cannot work, and neither could another.
        """
        failures = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = await self._once()
            if self._stopping.is_set():
                return
            if code == EXIT_NO_CARD:
                if self.missing_card():
                    self._held_back.clear()
                else:
                    self._release(event=NO_CARD)
                    await self._sleep(CARD_S)
                continue
            if code in (1, 2) and (self.failures_are_final or not self.has_worked):
                raise self._failure(code)
            self._release()
            if not self.has_worked and failures + 1 >= MAX_FALSE_STARTS:
                raise BachboxError(
                    f"the {self.name} {_ended(code)} {MAX_FALSE_STARTS} times before it could "
                    f"begin: {self.suspect} may be damaged; try another"
                )
            failures = 0 if time.monotonic() - begun > WELL_S else failures
            wait = min(RETRY_FIRST_S * 2 ** (failures - 1), RETRY_MAX_S)
            wait = wait if failures else 0.0
            failures += 1
            self.restarts += 1
            if code in (1, 2):
                self.failed()
            after = f" in {wait:g} s" if wait else ""
            self._say(
                f"bachbox: the {self.name} {_ended(code)}; another one starts{after}",
                CHILD_ENDED,
                child=self.name,
                code=code,
                restarts=self.restarts,
            )
            await self._sleep(wait)

    async def stop(self, patience_seconds: float) -> None:
        """End it: politely, and after ``patience_seconds`` not so."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            # One that was stopped could not even end.
            process.send_signal(signal.SIGCONT)
        try:
            await asyncio.wait_for(process.wait(), patience_seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _once(self) -> int:
        """One life of the child, from start to exit code."""
        self._worked = False
        # A group of its own: a terminal's Ctrl-C reaches us, and we end it in our order.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self._arguments()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(self._fd,),
            process_group=0,
        )
        self._process = process
        with contextlib.suppress(ProcessLookupError):
            self._hasten(process.pid)
        if self._stopping.is_set():
            process.terminate()
        assert process.stderr is not None
        reader = asyncio.create_task(self._listen(process.stderr))
        watcher = asyncio.create_task(self._watch(process))
        try:
            return await process.wait()
        finally:
            watcher.cancel()
            # What it said last is in the pipe yet; a grandchild could hold that open for ever.
            await asyncio.wait([reader], timeout=1.0)
            reader.cancel()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Kill the child when its heart stops, or when it leaks."""
        last_beat, last_look = self._heartbeat(), time.monotonic()
        quiet_seconds = stopped_seconds = most_mb = 0.0
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            beat, now = self._heartbeat(), time.monotonic()
            state, mb, worked_seconds = _look_at(process.pid)
            # Not more than a few looks' worth: if we slept (a suspended machine, a stopped
            # daemon), so may have the child.
            passed_seconds = min(now - last_look, 5 * POLL_INTERVAL_S)
            quiet_seconds += passed_seconds
            stopped_seconds = stopped_seconds + passed_seconds if state == "T" else 0.0
            last_look = now
            if beat != last_beat:
                last_beat, quiet_seconds = beat, 0.0
                self._worked = self.has_worked = True
                most_mb = most_mb or GROWTH_FACTOR * mb + GROWTH_MB
            if self._worked and state not in "ZX":
                self._release(until=now - POLL_INTERVAL_S)
            if most_mb and mb > most_mb:
                self._say(
                    f"bachbox: the {self.name} has grown to {mb:.0f} MB and is killed",
                    CHILD_LEAKS,
                    child=self.name,
                    mb=round(mb),
                )
                process.kill()
                return
            patience_seconds = HANG_S if self._worked else _start_patience_seconds(worked_seconds)
            if quiet_seconds > patience_seconds or stopped_seconds > STOPPED_S:
                self._say(
                    f"bachbox: the {self.name} hangs and is killed", CHILD_HANGS, child=self.name
                )
                process.kill()
                return

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        while line := await _line(stream):
            if not line.startswith(_CHATTER):
                self._held_back.append((time.monotonic(), line))

    def _release(self, until: float = math.inf, event: Event | None = None) -> None:
        """Say what was held back, as far as it was said before ``until``; ``event`` is the last."""
        while self._held_back and self._held_back[0][0] < until:
            _, line = self._held_back.pop(0)
            # A card that stays away is told of once.
            if line != self._last_said:
                self._say(line, event if event and not self._held_back else None, child=self.name)
            self._last_said = line

    def _failure(self, code: int) -> BachboxError:
        last = self._held_back.pop()[1] if self._held_back else ""
        self._release()
        sentence = last.partition(": ")[2] if last.startswith(("bachbox: ", self.name)) else last
        kind = UsageError if code == UsageError.exit_code else BachboxError
        return kind(sentence or f"the {self.name} {_ended(code)} without a word")

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


def _start_patience_seconds(worked_seconds: float) -> float:
    """How long a child may take to its first beat, after so much processor time."""
    return min(START_S + START_FACTOR * worked_seconds, START_MAX_S)


def _look_at(pid: int) -> tuple[str, float, float]:
    """A process's state, its resident memory in MB, and the seconds of processor it has used.

    The state is T where a signal has stopped it, and Z or X where it has ended.
    """
    try:
        # The name, in parentheses, may have anything in it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        worked_seconds = (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
        return fields[0], int(fields[21]) * _PAGE_BYTES / 1e6, worked_seconds
    except (OSError, IndexError):
        return "X", 0.0, 0.0


async def _line(stream: asyncio.StreamReader) -> str:
    """The next line that says something, "" at the end; an overlong one comes in pieces."""
    while True:
        try:
            raw = await stream.readline()
        except ValueError:
            continue
        if not raw:
            return ""
        if text := raw.decode(errors="replace").rstrip():
            return text


def _ended(code: int) -> str:
    if code < 0:
        try:
            return f"was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"was ended by signal {-code}"
    return f"ended with {code}"
