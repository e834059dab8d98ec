"""What the web server hands out besides the state of the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.frontends.history import History
from appliance.frontends.streaming.opus import OpusBroadcast


@dataclass(frozen=True)
class Media:
    """Recent pieces, and sound."""

    history: History
    opus: OpusBroadcast
    soundfont: Callable[[], Path]
    """Gives the file that renders pieces of the history as sound."""
