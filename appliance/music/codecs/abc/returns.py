"""What a form plans to return in a tune in ABC, as the symbols that would say it."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from appliance.common.copying import Copyable
from appliance.music.codecs.abc.tokens import (
    ACCIDENTALS,
    HIGHEST_DEGREE,
    LOWEST_DEGREE,
    PITCHES,
    TOKEN,
    degree_symbol,
)
from appliance.music.returns import sources
from appliance.music.score import Form


class PlannedSymbols(Copyable):
    """Remembers the notes and rests of a tune, and knows which symbols its map asks for.

    Args:
        form: of the tune, with its map.
    """

    shared_when_copied = frozenset({"_sources"})

    def __init__(self, form: Form) -> None:
        # The bar in which a pickup stands has the number 0 in a tune, and -1 in the map.
        first = 1 if form.pickup_steps else 0
        self._sources = MappingProxyType(
            {
                bar + first: (source + first, move)
                for bar, (source, move) in sources(form.facts.returns, form.steps).items()
            }
        )
        self._written: dict[tuple[int, int], tuple[str, ...]] = {}
        """The symbols of each note or rest, by its bar and the place in it where it begins."""

    def add(self, at: tuple[int, int], symbol: str) -> None:
        """Record a symbol of the note that begins at ``at``: a bar, and ticks after its line."""
        if self._sources:
            self._written[at] = (*self._written.get(at, ()), symbol)

    def tokens(self, at: tuple[int, int], next_at: tuple[int, int]) -> Sequence[int]:
        """The planned tokens; empty where nothing is planned.

        Args:
            at: bar, and ticks from its bar line on, of the note that may still get a symbol;
                ``next_at`` if none may.
            next_at: the same of the note that begins next.
        """
        planned = self._sources.get(at[0])
        if planned is not None:
            begun = self._written.get(at, ())
            source = self._written.get((planned[0], at[1]), ())
            after = len(_shape(begun))
            if after < len(_shape(source)) and _shape(begun) == _shape(source)[:after]:
                return _next_tokens(source, begun, planned[1])
        if at == next_at or (planned := self._sources.get(next_at[0])) is None:
            return ()
        source = self._written.get((planned[0], next_at[1]), ())
        return _next_tokens(source, (), planned[1]) if source else ()


def _shape(symbols: Sequence[str]) -> list[str]:
    """The symbols without what a move changes: accidentals, and which pitch it is."""
    return ["" if s in PITCHES else s for s in symbols if s not in ACCIDENTALS]


def _next_tokens(source: Sequence[str], begun: Sequence[str], move: int) -> Sequence[int]:
    """The tokens that follow a note's symbols, if it is like the source, moved by degrees."""
    following = _shape(source)[len(_shape(begun))]
    if following:
        return (TOKEN[following],)
    accidentals = [symbol for symbol in source if symbol in ACCIDENTALS]
    if accidentals and not move and not any(symbol in ACCIDENTALS for symbol in begun):
        return (TOKEN[accidentals[0]],)
    degree = next(PITCHES[symbol] for symbol in source if symbol in PITCHES) + move
    return (TOKEN[degree_symbol(degree)],) if LOWEST_DEGREE <= degree <= HIGHEST_DEGREE else ()
