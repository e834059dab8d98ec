"""The latest turns and presses, for the hardware test on the page."""

from __future__ import annotations

import itertools
import time
from typing import Final

import msgspec

MAX_INPUT_EVENTS: Final = 50
"""How many are kept."""

_numbers = itertools.count(1)


class InputEvent(msgspec.Struct, frozen=True):
    """One turn or press."""

    where: str
    """The part, such as ``[gpio] encoders 1 (tempo)``."""
    what: str
    """What it did, such as ``tempo 96.0``."""
    number: int = msgspec.field(default_factory=lambda: next(_numbers))
    """Counts up, so that two equal events can be distinguished."""
    at: str = msgspec.field(default_factory=lambda: time.strftime("%H:%M:%S"))
    """The local time."""
