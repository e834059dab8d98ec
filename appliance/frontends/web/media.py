"""What the web server hands out besides the state of the box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.frontends.library import Library
from appliance.frontends.streaming.mp3 import Mp3Broadcast
from appliance.frontends.streaming.opus import OpusBroadcast


@dataclass(frozen=True)
class Media:
    """Pieces, scenes, and sound."""

    library: Library
    opus: OpusBroadcast
    soundfont: Callable[[], Path]
    """Gives the file that renders pieces as sound."""
    mp3: Mp3Broadcast = field(default_factory=Mp3Broadcast)
