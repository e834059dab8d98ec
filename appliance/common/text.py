"""Text from outside in messages: quoted, shortened, or matched with known words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

MAX_LENGTH: Final = 40
"""The default length at which a foreign text is cut off."""

_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Python has surrogates in place of bytes that it cannot decode."""

_SIMILAR: Final = 0.6
"""How alike two words must be for one to be a misspelling of the other; difflib's own default."""


def shortened(text: str, max_length: int = MAX_LENGTH) -> str:
    """Return ``text``, cut off with an ellipsis if it is longer than ``max_length`` characters."""
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def printable(text: object) -> str:
    """Text with "?" for control characters, and for bytes of file names that are not UTF-8."""
    return _UNPRINTABLE.sub("?", str(text))


def quoted(value: object, max_length: int = MAX_LENGTH) -> str:
    """Return the ``repr`` of ``value``, shortened; control characters are escaped in it."""
    return shortened(repr(value), max_length)


def lowered(sentence: str) -> str:
    """Return ``sentence`` with a small first letter, to follow a colon."""
    return sentence[:1].lower() + sentence[1:]


def similar(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Return up to ``count`` of the ``known`` words that resemble ``word``, the best first."""
    import difflib  # Needed only when something is misspelt.

    return difflib.get_close_matches(word, list(known), count, _SIMILAR)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the question ``did you mean 'NAME'?``, or "" if no ``known`` word is close.

    A known word that begins with ``word`` counts as close ("tempo" for "tempo_bpm").
    """
    known = list(known)
    close = similar(word.casefold(), known)
    close = close or [name for name in known if len(word) > 3 and name.startswith(word)]
    return f"did you mean {close[0]!r}?" if close else ""
