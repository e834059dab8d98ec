"""What hands have done to knobs and buttons lately, for whoever tests them from the page."""

from __future__ import annotations

import itertools
import time
from typing import Final

import msgspec

MAX_INPUT_EVENTS: Final = 50

_numbers = itertools.count(1)


class InputEvent(msgspec.Struct, frozen=True):
    """One turn or press."""

    where: str
    """The part, as the config names it."""
    what: str
    number: int = msgspec.field(default_factory=lambda: next(_numbers))
    """One more for each, so that two are told apart."""
    at: str = msgspec.field(default_factory=lambda: time.strftime("%H:%M:%S"))
