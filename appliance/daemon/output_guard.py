"""Goes back to the output and the soundfont that worked if others are refused, or crash."""

from __future__ import annotations

import logging
from collections.abc import Callable

from appliance.audio.alsa_cards import hardware_cards
from appliance.ipc.shared_state import SharedState
from appliance.state.settings import Settings

logger = logging.getLogger(__name__)


class OutputGuard:
    """Watches what the performer plays on, and keeps the settings true to it.

    Args:
        shared: the shared memory.
        settings: the settings.
        restarts: gives the number of the performer's restarts.
    """

    def __init__(
        self, shared: SharedState, settings: Settings, restarts: Callable[[], int]
    ) -> None:
        self._shared = shared
        self._settings = settings
        self._restarts = restarts
        self._restarts_seen = 0
        self._output = settings.requested.output
        """The output that worked last."""
        self._soundfont = settings.requested.soundfont
        """The soundfont that worked last."""
        settings.add_names("output", self.output_names)
        self._configured = self._output

    def output_names(self) -> list[str]:
        """Return the outputs that can be chosen now."""
        hardware = [card.label for card in hardware_cards()]
        published = self._shared.output.read().cards.splitlines()
        return list(dict.fromkeys(["default", *hardware, *published, self._configured, "null"]))

    def check(self) -> None:
        """Return to what worked if the performer has refused what is asked for, or crashes."""
        wanted, state = self._settings.requested, self._shared.output.read()
        soundfont = self._shared.live_settings.read().soundfont
        plays = state.requested == wanted.output and state.soundfont == soundfont
        crashed = self._restarts() > self._restarts_seen
        if plays and not state.refused:
            self._output, self._soundfont = wanted.output, wanted.soundfont
            self._restarts_seen = self._restarts()
        elif state.refused and state.refused == wanted.output != self._output:
            self._return("output", wanted.output, self._output, state.problem)
        elif state.refused and state.refused == soundfont and wanted.soundfont != self._soundfont:
            self._return("soundfont", wanted.soundfont, self._soundfont, state.problem)
        elif crashed and self.return_to_working("the performer does not work with it"):
            self._restarts_seen = self._restarts()

    def return_to_working(self, reason: str) -> bool:
        """Go back to what worked; return whether that is something else."""
        wanted = self._settings.requested
        is_other = (wanted.output, wanted.soundfont) != (self._output, self._soundfont)
        if wanted.output != self._output:
            self._return("output", wanted.output, self._output, reason)
        if wanted.soundfont != self._soundfont:
            self._return("soundfont", wanted.soundfont, self._soundfont, reason)
        return is_other

    def _return(self, name: str, refused: str, working: str, reason: str) -> None:
        self._settings.restore(name, working)
        logger.warning("%s %s: %s; %s plays on", name, refused, reason, working)
