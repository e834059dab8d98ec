"""What the checks of ``bachbox doctor`` find."""

from __future__ import annotations

import enum

import msgspec


class CheckStatus(enum.StrEnum):
    """The result of a check."""

    OK = "ok"
    OFF = "off"
    """Missing or switched off, and not needed for music."""
    FAILED = "failed"


class Finding(msgspec.Struct, frozen=True):
    """What a check has found; an element of the list that ``bachbox doctor --json`` prints."""

    check: str
    status: CheckStatus
    detail: str
    remedy: str = ""
    """What to do, if the detail does not say it."""
