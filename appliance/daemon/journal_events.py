"""What happens to the box that somebody may want to look for in the journal.

Each has an ID of its own, as ``journalctl MESSAGE_ID=...`` takes it; docs/journal.md lists them.
An ID, once published, keeps its meaning.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

INFO: Final = 6
WARNING: Final = 4
ERROR: Final = 3
"""Priorities as syslog numbers them."""


class Event(NamedTuple):
    """A kind of thing that happens."""

    id: str
    """128 bits in hexadecimal digits."""
    priority: int


COMPOSES: Final = Event("189b65dfcde9497d9feb0676e5e49199", INFO)
PIECE: Final = Event("dd54fb54481941f08573d93563b2d0a5", INFO)
CHILD_ENDED: Final = Event("3ff3f6ab85e9435bba6d31a160d06300", WARNING)
CHILD_HANGS: Final = Event("8b45491c8b5848568d79a8b07c3198d0", WARNING)
CHILD_LEAKS: Final = Event("4a28130cf87d466790fa31ac6bc3c82e", WARNING)
NO_CARD: Final = Event("1bf8e0f7278e457b8a20b7a9d857cda3", WARNING)
MODEL_FAILED: Final = Event("4f720478e0454349b7de202e0a30bed3", WARNING)
MISTAKE: Final = Event("7f3e0ae99c9240cf9a4564a152851d80", ERROR)
ENDED: Final = Event("ce5aa8b715cf4c878a0a5d2c585d233f", INFO)


class Say(Protocol):
    """Takes a sentence for the log."""

    def __call__(self, sentence: str, event: Event | None = None, **facts: str | int) -> None:
        """``facts`` become the fields ``BACHBOX_…`` of the journal."""
