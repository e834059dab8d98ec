"""What comes again in a piece: a map without notes, which a form brings along.

The idea is that of Collins, Laney, Willis and Garthwaite (AI EDAM 30(1), 2016): a new piece
inherits from an existing one which of its bars return, not what is in them.
"""

from __future__ import annotations

from typing import NamedTuple


class Return(NamedTuple):
    """Bars that are as earlier ones; bar 0 is the first full bar, a pickup stands in bar -1."""

    bar: int
    """The first of them."""
    source_bar: int
    """The first of the bars that they are as."""
    bars: int
    """How many there are. Where they overlap with their source, they continue as they began."""
    move: int
    """How much higher they are: in semitones, in ABC in scale degrees."""


class Entry(NamedTuple):
    """A place where the melody of the opening is heard again in one voice, others around it."""

    step: int
    """How many 16ths after the opening's first note it begins."""
    move: int
    """How many semitones higher it is."""
    notes: int
    """How many of the opening's notes are heard."""
    lower: bool
    """Other notes are above it."""


def sources(returns: tuple[Return, ...], max_bars: int) -> dict[int, tuple[int, int]]:
    """The bar that each returning bar is as, and by how much it is moved.

    No passage is taken for longer than ``max_bars``.
    """
    return {
        passage.bar + number: (passage.source_bar + number, passage.move)
        for passage in returns
        for number in range(min(passage.bars, max_bars))
    }
