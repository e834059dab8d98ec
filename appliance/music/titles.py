"""What a piece is called: "Sarabande in d minor", "third of a suite of six"."""

from __future__ import annotations

from typing import Final

from appliance.music import kinds
from appliance.music.events import Piece
from appliance.music.score import Key

GROUPS: Final = (
    "", "suite", "sonata", "prelude and fugue", "set of tunes", "set of chorales", "set of pieces",
)  # fmt: skip
"""What pieces are played together as; "": a piece that stands alone."""

SUITE, SONATA, PRELUDE_AND_FUGUE, TUNES, CHORALES, PIECES = range(1, len(GROUPS))

_ORDINALS: Final = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip


def piece_title(piece: Piece) -> str:
    """Return a piece's kind and key, such as "Sarabande in d minor"; "Piece" if it has no kind."""
    kind = kinds.KINDS.get(kinds.NAMES[piece.kind])
    return f"{kind.title if kind else 'Piece'} in {Key(piece.tonic, piece.minor)}"


def place_in_group(piece: Piece) -> str:
    """Return a piece's place, such as "third of a suite"; "" for a piece that stands alone."""
    if piece.group == PRELUDE_AND_FUGUE:
        return "with its fugue" if piece.place == 1 else "after its prelude"
    if not piece.group or not 0 < piece.place <= len(_ORDINALS):
        return ""
    return f"{_ORDINALS[piece.place - 1]} of a {GROUPS[piece.group]}"
