"""What a frontend is: one way to operate the box and to see its state."""

from __future__ import annotations

from typing import Final, Protocol

from appliance.state.box_status import BoxStatus
from appliance.state.settings import Settings

SHUTDOWN_TIMEOUT_S: Final = 0.3
"""How long a frontend may take to end; after that, the daemon ends without it."""


class Frontend(Protocol):
    """One way to reach the box: pins, a broker, a socket."""

    @property
    def name(self) -> str:
        """The name of the frontend in the log."""

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Work until cancelled, then tidy up within :data:`SHUTDOWN_TIMEOUT_S`.

        Runs in the daemon's event loop, so it must never block. A library that blocks, or that
        calls back from a thread of its own, belongs in a (daemon) thread and returns to the loop
        with ``loop.call_soon_threadsafe``. Called again after an unexpected error.

        Returning early means that there is nothing to do here; log the reason first.

        Raises:
            BachboxError: it cannot work, and another try would not help. The sentence is logged
                once, and the music plays without this frontend.
        """
