"""The state of a composer, to which it can go back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from appliance.composing.interpreter import State
from appliance.composing.repeats import Rendition
from appliance.composing.stall_detector import StallDetector
from appliance.music.codecs.base import Context
from appliance.music.events import Piece


@dataclass
class Counts:
    """What has been composed since the start."""

    tokens: int = 0
    notes: int = 0
    """What was played again counts too."""
    pieces: int = 0


class Progress(NamedTuple):
    """Where in its piece a composer is."""

    token_count: int = 0
    """Tokens of the piece so far."""
    passages: int = 0
    """How many passages have begun, each with random numbers of its own."""
    passage: str = ""
    """The name of the last one."""
    in_repeat: bool = False
    """In a repeat that the codec writes."""
    leaves_out: bool = False
    """And it is not played."""


class Snapshot(NamedTuple):
    """Everything that decides what is composed next."""

    tick: int
    piece: Piece
    context: Context
    progress: Progress
    token_state: tuple[State, Mapping[str, Any]]
    stall_detector: StallDetector
    rendition: Rendition
