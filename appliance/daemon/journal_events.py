"""Events that programs may want to find in the journal.

Each has an ID, as ``journalctl MESSAGE_ID=...`` takes it; docs/journal.md lists them. A module
logs one with ``extra={"event": EVENT, ...}``; the other keys become fields ``BACHBOX_...``.
A published ID keeps its meaning.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class JournalEvent(NamedTuple):
    """A kind of event."""

    id: str
    """128 bits in hexadecimal digits."""


COMPOSING: Final = JournalEvent("189b65dfcde9497d9feb0676e5e49199")
PIECE_STARTED: Final = JournalEvent("dd54fb54481941f08573d93563b2d0a5")
CHILD_ENDED: Final = JournalEvent("3ff3f6ab85e9435bba6d31a160d06300")
CHILD_HANGS: Final = JournalEvent("8b45491c8b5848568d79a8b07c3198d0")
CHILD_LEAKS: Final = JournalEvent("4a28130cf87d466790fa31ac6bc3c82e")
NO_SOUND_CARD: Final = JournalEvent("1bf8e0f7278e457b8a20b7a9d857cda3")
MODEL_FAILED: Final = JournalEvent("4f720478e0454349b7de202e0a30bed3")
BUG: Final = JournalEvent("7f3e0ae99c9240cf9a4564a152851d80")
"""Every record with a traceback is of this kind."""
STOPPED: Final = JournalEvent("ce5aa8b715cf4c878a0a5d2c585d233f")
