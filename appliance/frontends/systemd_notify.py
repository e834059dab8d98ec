"""Notifies systemd when the music has begun, what plays, and that the box still works.

``READY=1`` is sent when sound is played: frames were played and notes composed. A box that cannot
play yet (no sound card, or it was left paused) is ready too, and its status says why.
``WATCHDOG=1`` is sent only if both counts have risen since the last time; while no sound is
expected, the heartbeats of both children count instead. A daemon that hangs sends nothing, so
systemd ends it and starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

from appliance.common.install_hint import install_hint
from appliance.errors import BachboxError
from appliance.frontends.base import Frontend
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import BoxStatus, Progress
from appliance.state.settings import Settings

POLL_INTERVAL_S: Final = 0.5

PINGS_PER_TIMEOUT: Final = 4
"""How often systemd's watchdog is pinged before it would lose patience."""


def frontends() -> list[Frontend]:
    """Return the frontend for systemd; none if systemd did not start this process.

    Raises:
        BachboxError: systemd-python is missing.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return []
    try:
        from systemd import daemon
    except ImportError as error:
        raise BachboxError(
            "systemd expects notifications (Type=notify), but systemd-python is missing",
            remedy=f"{install_hint('systemd')}, or set Type=exec and no WatchdogSec",
        ) from error
    return [SystemdNotifier(daemon.notify, watchdog_timeout_s())]


def watchdog_timeout_s() -> float | None:
    """Return how long systemd waits for a ping of this process; None: it expects no pings.

    Source: sd_watchdog_enabled(3).
    """
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1e6 or None
    except (KeyError, ValueError):
        return None


class SystemdNotifier:
    """Notifies systemd; see :class:`appliance.frontends.base.Frontend`.

    Args:
        notify: takes a message in the form of sd_notify(3).
        watchdog_timeout_s: the longest time between two pings; None: no pings.
    """

    name = "systemd"

    def __init__(
        self, notify: Callable[[str], object], watchdog_timeout_s: float | None = None
    ) -> None:
        self._notify = notify
        self._watchdog_timeout_s = watchdog_timeout_s
        self._ready = False
        self._status = ""
        self._pinged_at = 0.0

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Notify until cancelled."""
        loop = asyncio.get_running_loop()
        ping_interval_s = (self._watchdog_timeout_s or 0.0) / PINGS_PER_TIMEOUT
        at_last_ping = box.progress()
        try:
            while True:
                now = box.progress()
                # First, so that whoever waits for the start can read what plays.
                self._send_status(box)
                if not self._ready and is_ready(now, box):
                    self._ready = True
                    self._send("READY=1")
                due = loop.time() - self._pinged_at >= ping_interval_s
                if self._watchdog_timeout_s and due and has_progressed(at_last_ping, now):
                    self._send("WATCHDOG=1")
                    at_last_ping, self._pinged_at = now, loop.time()
                await asyncio.sleep(min(POLL_INTERVAL_S, ping_interval_s or POLL_INTERVAL_S))
        except asyncio.CancelledError:
            self._send("STOPPING=1")
            raise

    def _send_status(self, box: BoxStatus) -> None:
        status = status_text(box)
        if status and status != self._status:
            self._status = status
            self._send(f"STATUS={status}")

    def _send(self, message: str) -> None:
        # systemd may be restarting itself; a lost message is repeated, or was the last one.
        with contextlib.suppress(OSError):
            self._notify(message)


def status_text(box: BoxStatus) -> str:
    """Return a line for ``systemctl status``; "" while the box starts or stops."""
    playing, settings = box.now_playing(), box.settings()
    if playing.condition is Condition.NO_SOUND_CARD:
        return f"No sound card; plays as soon as there is one ({playing.problem})"
    where = f"{playing.title}; " if playing.piece else ""
    how = f"{settings.model}, {settings.instrument}, {settings.tempo:g} beats a minute"
    if playing.condition in (Condition.PLAYING, Condition.PAUSED):
        problem = f"; {playing.problem}" if playing.problem else ""
        return f"{playing.condition.capitalize()}: {where}{how}{problem}"
    return ""


def is_ready(progress: Progress, box: BoxStatus) -> bool:
    """Return whether sound is played, or everything works and no sound is expected."""
    if not progress.composer_heartbeat:
        return False
    if progress.silent:
        return True
    playing = box.now_playing().condition is Condition.PLAYING
    return playing and progress.frames_played > 0 and progress.notes > 0


def has_progressed(before: Progress, now: Progress) -> bool:
    """Return whether music was composed and played; if none is expected, whether both work."""
    if now.silent:
        return (
            now.composer_heartbeat != before.composer_heartbeat
            and now.performer_heartbeat != before.performer_heartbeat
        )
    return now.frames_played != before.frames_played and now.notes != before.notes
