"""The kinds of groups that pieces are played in, and how one is dealt from the forms that are left.

Sources: the order of movements in Bach's suites and in his sonatas for violin solo; a fiddler's
set of tunes, two or three of one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from appliance.music import titles
from appliance.music.events import Piece

T = TypeVar("T")

MOVEMENT_PAUSE_S, GROUP_PAUSE_S, FUGUE_PAUSE_S = 3.0, 6.0, 2.0
"""Silence between two movements, between two groups, between a prelude and its fugue."""


@dataclass(frozen=True)
class GroupKind:
    """A kind of group.

    Attributes:
        title: the place of its name in :data:`appliance.music.titles.GROUPS`.
        same_key: its pieces are on one tonic.
        pause_s: silence between two of its pieces.
        slots: the kinds of piece that each of its places is for, in order; a place for which no
            form is left stays empty. Empty: pieces that are like the first one.
        sizes: how many pieces there are, if ``slots`` is empty.
    """

    title: int
    same_key: bool
    pause_s: float
    slots: tuple[frozenset[str], ...] = ()
    sizes: tuple[int, ...] = (1,)


def _kinds(text: str) -> frozenset[str]:
    return frozenset(kind.strip().replace("_", " ") for kind in text.split())


_GALANTERIES: Final = _kinds(
    "menuet gavotte bourree passepied loure polonaise rondeau scherzo burlesca aria capriccio"
)
_OVERTURES: Final = _kinds("prelude toccata fantasia sinfonia")
_SLOW: Final = _kinds("grave adagio largo")
_FUGAL: Final = _kinds("fugue ricercar canon")

SUITE: Final = GroupKind(
    titles.SUITE, True, MOVEMENT_PAUSE_S,
    (_OVERTURES, _kinds("allemande"), _kinds("courante"), _kinds("double"), _kinds("sarabande"),
     _GALANTERIES, _GALANTERIES, _kinds("gigue chaconne")),
)  # fmt: skip
SONATA: Final = GroupKind(
    titles.SONATA, True, MOVEMENT_PAUSE_S,
    (_SLOW, _FUGAL, _kinds("siciliana andante largo"), _kinds("allegro presto")),
)  # fmt: skip
PRELUDE_AND_FUGUE: Final = GroupKind(
    titles.PRELUDE_AND_FUGUE, True, FUGUE_PAUSE_S, (_kinds("prelude toccata fantasia"), _FUGAL)
)
TUNES: Final = GroupKind(titles.TUNES, False, 0.0, sizes=(2, 3, 3))
CHORALES: Final = GroupKind(titles.CHORALES, False, MOVEMENT_PAUSE_S, sizes=(4,))
PIECES: Final = GroupKind(titles.PIECES, False, MOVEMENT_PAUSE_S, sizes=(3,))

_TUNE_KINDS: Final = frozenset(
    ("reel", "hornpipe", "jig", "slip jig", "strathspey", "highland fling", "clog", "polka",
     "waltz", "march", "quickstep", "air", "tune")
)  # fmt: skip
_BY_KIND: Final[dict[str, GroupKind]] = {
    **dict.fromkeys(("invention", "sinfonia", "duet", ""), PIECES),
    **dict.fromkeys(_GALANTERIES | _kinds("allemande courante sarabande double gigue"), SUITE),
    "chaconne": SUITE,
    **dict.fromkeys(_SLOW | _kinds("siciliana andante allegro presto"), SONATA),
    **dict.fromkeys(_FUGAL | _kinds("prelude toccata fantasia"), PRELUDE_AND_FUGUE),
    **dict.fromkeys(_TUNE_KINDS, TUNES),
    "chorale": CHORALES,
}

GROUP_KINDS: Final = (SUITE, SONATA, PRELUDE_AND_FUGUE, TUNES, CHORALES, PIECES)


def group_kind_of(kind: str) -> GroupKind:
    """Return the kind of group that a piece of this kind is played in, when it is drawn first."""
    return _BY_KIND.get(kind, PIECES)


def pause_after_s(piece: Piece) -> float:
    """Return the silence after a piece, in seconds where the tempo is the piece's own."""
    if piece.place >= piece.group_size:
        return GROUP_PAUSE_S
    return next(kind.pause_s for kind in GROUP_KINDS if kind.title == piece.group)


def goes_on_at_once(piece: Piece) -> bool:
    """Return whether the next piece follows in time: another tune of the same set."""
    return piece.group == titles.TUNES and piece.place < piece.group_size


def deal_group(
    kind: GroupKind,
    decks: dict[GroupKind, list[T]],
    rng: np.random.Generator,
    kind_of: Callable[[T], str],
    go_together: Callable[[T, T], bool],
) -> list[T]:
    """Take the pieces of a group from the decks.

    Args:
        kind: of the group; its own deck is not empty.
        decks: what is left, by the group that each piece belongs to; what is taken is removed.
        rng: decides how many pieces a group without fixed places has.
        kind_of: gives a piece's kind.
        go_together: tells whether two pieces can be in one group, by mode and instrument.

    Returns:
        At least one piece, in the order in which they are played.
    """
    first = decks[kind].pop()
    if not kind.slots:
        size = int(rng.choice(kind.sizes))
        return [first, *_take(decks[kind], size - 1, lambda item: kind_of(item) == kind_of(first))]
    found: list[T] = []
    placed = False
    for wanted in kind.slots:
        if not placed and kind_of(first) in wanted:
            placed = True
            found.append(first)
            continue

        def fits(item: T, wanted: frozenset[str] = wanted) -> bool:
            return kind_of(item) in wanted and go_together(first, item)

        # A suite may borrow a prelude from the preludes with fugues.
        for deck in (decks[kind], *(d for k, d in decks.items() if k is not kind and k.slots)):
            if taken := _take(deck, 1, fits):
                found += taken
                break
    return found if placed else [*found, first]


def _take(deck: list[T], count: int, fits: Callable[[T], bool]) -> list[T]:
    """Take up to ``count`` pieces that fit, from the end of the deck on."""
    found: list[T] = []
    for index in range(len(deck) - 1, -1, -1):
        if len(found) >= count:
            break
        if fits(deck[index]):
            found.append(deck.pop(index))
    return found
