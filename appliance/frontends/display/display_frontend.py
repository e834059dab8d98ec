"""Shows what plays on a small display.

The event loop only makes screens. A thread of its own draws them, because an I2C bus can block for
as long as it likes: a bus that hangs stops that thread and nothing else. Of several screens that
wait, the newest is drawn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from appliance.common.backoff import Backoff
from appliance.config.schema import Display
from appliance.errors import BachboxError
from appliance.frontends.display import panels
from appliance.frontends.display.panels import Panel
from appliance.frontends.display.screens import Screen, Screens, Source
from appliance.state.settings import Settings

POLL_INTERVAL_S: Final = 0.05
"""A beat is shown at most this late, and as much later as the bus takes."""

RETRY_FIRST_S: Final = 1.0
RETRY_MAX_S: Final = 60.0
"""A display that failed is opened again after these; the waiting time doubles each time."""

BACKOFF_RESET_S: Final = 60.0
"""A display that has worked for this long is opened again soon after its next failure."""

HANG_S: Final = 5.0
"""A bus that takes longer than this for one screen hangs."""

CLOSE_S: Final = 0.2
"""How long the frontend waits for the display to become dark at the end."""

logger = logging.getLogger(__name__)


class DisplayFrontend:
    """Shows the state of the box; see :class:`appliance.frontends.base.Frontend`.

    Args:
        display: the config, with a driver.
        open_panel: opens the display.
    """

    name = "display"

    def __init__(
        self, display: Display, open_panel: Callable[[Display], Panel] = panels.open_panel
    ) -> None:
        self._display = display
        self._open_panel = open_panel

    async def run(self, settings: Settings, box: Source) -> None:
        """Show the state of the box until cancelled.

        Raises:
            BachboxError: a library is missing.
        """
        await asyncio.to_thread(panels.load_drivers, self._display)
        painter = Painter(lambda: self._open_panel(self._display))
        screens = Screens(self._display, panels.layout_of(self._display))
        try:
            while True:
                painter.show(screens.screen(settings, box, time.monotonic()))
                painter.look_after()
                await asyncio.sleep(POLL_INTERVAL_S)
        finally:
            painter.stop()


class Painter:
    """Draws screens in a thread of its own, and opens the display again when it fails.

    Args:
        open_panel: opens the display.
    """

    def __init__(self, open_panel: Callable[[], Panel]) -> None:
        self._open_panel = open_panel
        self._wanted: Screen | None = None
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._busy_since_s: float | None = None
        self._is_broken = False
        """A problem is in the log, and the display has not worked since."""
        self._thread = threading.Thread(target=self._paint, name="display", daemon=True)
        self._thread.start()

    def show(self, screen: Screen) -> None:
        """Have ``screen`` drawn, if it is another one than the last; returns at once."""
        if screen != self._wanted:
            self._wanted = screen
            self._changed.set()

    def look_after(self) -> None:
        """Say so, once, if the bus hangs."""
        since_s = self._busy_since_s
        if since_s is not None and time.monotonic() - since_s > HANG_S:
            self._say("its bus hangs; the display shows something old until it answers")

    def stop(self) -> None:
        """Make the display dark; waits for at most :data:`CLOSE_S`."""
        self._stopped.set()
        self._changed.set()
        self._thread.join(CLOSE_S)

    def _paint(self) -> None:
        backoff = Backoff(RETRY_FIRST_S, RETRY_MAX_S, reset_after_s=BACKOFF_RESET_S)
        while not self._stopped.is_set():
            opened_at_s = time.monotonic()
            try:
                self._paint_until_it_fails()
            except BachboxError as error:
                self._say(str(error))
            except Exception as error:
                # luma and smbus2 pass on what the kernel says.
                reason = str(error) or type(error).__name__
                self._say(f"it does not take a picture ({reason}); check its wires")
            self._busy_since_s = None
            self._stopped.wait(backoff.next_s(time.monotonic() - opened_at_s))

    def _paint_until_it_fails(self) -> None:
        self._busy_since_s = time.monotonic()
        panel = self._open_panel()
        self._busy_since_s = None
        shown: Screen | None = None
        self._changed.set()
        try:
            while not self._stopped.is_set():
                self._changed.wait()
                self._changed.clear()
                screen = self._wanted
                if screen is None or screen == shown:
                    continue
                self._busy_since_s = time.monotonic()
                panel.show(screen)
                self._busy_since_s, shown = None, screen
                self._works()
        finally:
            # After a failure this may fail, too.
            with contextlib.suppress(Exception):
                panel.close()

    def _say(self, problem: str) -> None:
        if not self._is_broken:
            self._is_broken = True
            logger.warning("display: %s", problem)

    def _works(self) -> None:
        if self._is_broken:
            self._is_broken = False
            logger.info("display: it works again")
