"""What the web server hands out besides the state of the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.frontends.box_events import BoxEvents
from appliance.frontends.history import History
from appliance.frontends.library import Library
from appliance.frontends.streaming.mp3 import Mp3Broadcast
from appliance.frontends.streaming.opus import OpusBroadcast


@dataclass(frozen=True)
class Media:
    """Recent pieces, sound, and what the listener keeps."""

    history: History
    opus: OpusBroadcast
    soundfont: Callable[[], Path]
    """Gives the file that renders pieces of the history as sound."""
    library: Library
    mp3: Mp3Broadcast = field(default_factory=Mp3Broadcast)
    events: BoxEvents = field(default_factory=BoxEvents)
    """Told when a piece is saved."""
