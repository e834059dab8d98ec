"""systemd is told when the music has begun, what plays, and that it still does.

``READY=1`` when sound flows: frames have been played and notes composed. A box that cannot sound
yet (no sound card, or left paused) is ready too, and its status says why. ``WATCHDOG=1`` only if
both went on since the last one; while nothing is to sound, the children's heartbeats instead.
A daemon that hangs says nothing, so systemd ends it and starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from typing import Final

from appliance.errors import BachboxError
from appliance.frontends.base import Frontend
from appliance.ipc.shared_state import Condition
from appliance.state.box_status import BoxStatus, Progress
from appliance.state.settings import Settings

POLL_INTERVAL_S: Final = 0.5

PINGS: Final = 4
"""So many in the time after which systemd loses patience."""


def control() -> list[Frontend]:
    """The control, where systemd wants to be told.

    Raises:
        BachboxError: it does, and systemd-python is missing.
    """
    if not os.environ.get("NOTIFY_SOCKET"):
        return []
    try:
        from systemd import daemon
    except ImportError as error:
        raise BachboxError(
            "systemd waits to be told how it goes (Type=notify), but systemd-python is missing; "
            "run pip install 'bachbox[systemd]', or set Type=exec and no WatchdogSec"
        ) from error
    return [ServiceManager(daemon.notify, watchdog_seconds())]


def watchdog_seconds() -> float | None:
    """How long systemd waits for a ping of this process; None: it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(os.environ["WATCHDOG_USEC"]) / 1e6 or None
    except (KeyError, ValueError):
        return None


class ServiceManager:
    """Tells systemd by ``notify``; expects ``watchdog_seconds`` to pass at most between pings."""

    name = "systemd"

    def __init__(
        self, notify: Callable[[str], object], watchdog_seconds: float | None = None
    ) -> None:
        self._notify = notify
        self._watchdog_seconds = watchdog_seconds
        self._ready = False
        self._told = ""
        self._pinged_at = 0.0

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Tell until cancelled."""
        loop = asyncio.get_running_loop()
        ping_seconds = (self._watchdog_seconds or 0.0) / PINGS
        before = box.progress()
        try:
            while True:
                now = box.progress()
                if not self._ready and has_begun(now, box):
                    self._ready = True
                    self._say("READY=1")
                self._tell(box)
                due = loop.time() - self._pinged_at >= ping_seconds
                if self._watchdog_seconds and due and goes_on(before, now):
                    self._say("WATCHDOG=1")
                    before, self._pinged_at = now, loop.time()
                await asyncio.sleep(min(POLL_INTERVAL_S, ping_seconds or POLL_INTERVAL_S))
        except asyncio.CancelledError:
            self._say("STOPPING=1")
            raise

    def _tell(self, box: BoxStatus) -> None:
        status = told(box)
        if status and status != self._told:
            self._told = status
            self._say(f"STATUS={status}")

    def _say(self, message: str) -> None:
        # systemd may be restarting itself; what is lost is said again, or was the last word.
        with contextlib.suppress(OSError):
            self._notify(message)


def told(box: BoxStatus) -> str:
    """The box in a line, for ``systemctl status``; "" where the line before still holds."""
    playing, settings = box.now_playing(), box.settings()
    if playing.condition is Condition.NO_SOUND_CARD:
        return "No sound card; plays as soon as there is one"
    where = f"piece {playing.piece} in {playing.key}; " if playing.piece else ""
    with_what = f"{settings.model}, {settings.instrument}, {settings.tempo:g} beats a minute"
    if playing.condition in (Condition.PLAYING, Condition.PAUSED):
        return f"{playing.condition.capitalize()}: {where}{with_what}"
    return ""


def has_begun(pulse: Progress, box: BoxStatus) -> bool:
    """Whether sound flows, or all is ready and none is to."""
    if not pulse.composer_heartbeat:
        return False
    if pulse.silent:
        return True
    sounds = box.now_playing().condition is Condition.PLAYING
    return sounds and pulse.frames_played > 0 and pulse.notes > 0


def goes_on(before: Progress, now: Progress) -> bool:
    """Whether something was done between the two: music, or while it rests the processes' work."""
    if now.silent:
        return (
            now.composer_heartbeat != before.composer_heartbeat
            and now.performer_heartbeat != before.performer_heartbeat
        )
    return now.frames_played != before.frames_played and now.notes != before.notes
