"""What a codec is: music as tokens, and what the model hears before each of them.

A kind of music is one module with a codec in it (``satb``: four voices on a grid, ``lines``:
notes in free rhythm, ``abc``: tunes as text), listed in ``codecs``. Composer, training and
evaluation know only what stands here.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from appliance.music.events import Event
from appliance.music.score import Form, Key


class Cadence(enum.IntEnum):
    """How a piece closes, from bad to good."""

    OPEN = 0
    """Elsewhere than on the tonic's chord."""
    HOME = 1
    """On the tonic's chord with its root in the bass."""
    FULL = 2
    """And from a bass note that leads there."""


class Opening(NamedTuple):
    """Music that is known already: a person's bars to start from."""

    form: Form
    key: Key
    tokens: Sequence[int]


class Context(Protocol):
    """A piece being written: the model's input before each token, the music after it."""

    form: Form
    key: Key
    done: bool
    """The piece is written; ``close`` leaves its last notes."""

    @property
    def tick(self) -> int:
        """Ticks since the piece began up to which the music is complete."""

    def features(self) -> list[int]:
        """Indices of the ones in the multi-hot input for the next token."""

    def forbidden(self, *, must_sound: bool = False) -> list[int]:
        """Classes that make no sense as the next token; ``must_sound`` rules out rests."""

    def accept(self, token: int) -> list[Event]:
        """Write the token down; the events it gives, in ticks since the piece began.

        Whatever the token: one that makes no sense is taken as one that does.
        """

    def close(self) -> list[Event]:
        """Leave every note still sounding, at ``tick``."""

    @property
    def faded(self) -> bool:
        """The last notes have been left before ``done``: nothing more is to come."""

    @property
    def at_ending(self) -> bool:
        """Here the last phrase begins: from here it is worth trying several."""

    def cadence(self) -> Cadence:
        """How the piece closes, if it closes with what sounds now."""

    def copy(self) -> Context:
        """A copy that goes its own way."""


class Codec(Protocol):
    """A kind of music: how it is told in tokens.

    Attributes:
        name: of the kind, as model files say it.
        width: length of the multi-hot input.
        vocabulary: a name for every class, in order.
        forms: whether a piece fills a form that is drawn for it, with a key.
        voices: how many have a part of their own, 0 being the highest; 1 where notes come as
            they may.
        unit: what figures are given a, such as ``note``.
        cycle: tokens with a fixed order of meanings, such as pitch and length: 2. A piece can
            be entered at every multiple of it.
    """

    name: str
    width: int
    forms: bool
    voices: int
    unit: str
    cycle: int

    @property
    def vocabulary(self) -> list[str]:
        """A name for every class, in order."""

    @property
    def options(self) -> dict[str, Any]:
        """What makes the same codec again (see :func:`appliance.music.codecs.registry.make`)."""

    def start(self, form: Form, key: Key) -> Context:
        """An empty piece in this form and key."""

    def encode(self, score: Any) -> tuple[list[list[int]], list[int]]:
        """Features and the true token at every place of a score of this kind."""

    def units(self, score: Any) -> tuple[int, int]:
        """How many of a score's tokens count for its figure, and how many units they are."""

    def shifts(self, score: Any) -> list[int]:
        """By how many semitones a score can be moved and still be told."""

    def moved(self, semitones: int) -> tuple[list[int], list[int]]:
        """Where each input and each class of a piece is found in the same piece moved.

        What would leave the codec's range stays on its last note.
        """

    def opening(self, path: Path) -> Opening:
        """The music in a person's file.

        Raises:
            UsageError: no such file, or none that a piece of this kind can start from.
        """
