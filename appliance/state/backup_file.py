"""The file of a backup: settings, scenes and saved pieces, as one JSON document.

``{"bachbox_backup": 1, "version": "0.2.0", "sha256": "...", "content": {...}}``. The checksum is
that of the content with its keys sorted and no blanks, so an edited file is refused.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from appliance import __version__
from appliance.errors import BachboxError, UsageError
from appliance.state import given_names
from appliance.state.saved_files import SavedContent, to_file
from appliance.state.scenes import MAX_OWN_SCENES, OwnScenes
from appliance.state.store import MAX_BACKUP_BYTES, StoredValues

FORMAT: Final = 1

_MAX_NUMBER_DIGITS: Final = 10


class Backup(msgspec.Struct, frozen=True):
    """What a backup holds."""

    settings: StoredValues
    """What was changed since the config file."""
    scenes: OwnScenes
    """The listener's own."""
    pieces: dict[str, SavedContent]
    """The saved pieces, by number."""


class BackupFile(msgspec.Struct, frozen=True):
    """The file itself."""

    bachbox_backup: int
    """The format."""
    version: Annotated[str, Meta(max_length=50)]
    """Of the Bachbox that made it."""
    sha256: str
    content: msgspec.Raw


def pack(backup: Backup) -> bytes:
    """Return the file that holds ``backup``.

    Raises:
        BachboxError: it would be larger than :data:`MAX_BACKUP_BYTES`.
    """
    content = msgspec.Raw(msgspec.json.encode(backup))
    file = BackupFile(FORMAT, __version__, _checksum(backup), content)
    packed = msgspec.json.encode(file) + b"\n"
    if len(packed) > MAX_BACKUP_BYTES:
        raise BachboxError(
            f"the backup would have {len(packed) >> 20} MiB, and {MAX_BACKUP_BYTES >> 20} are the "
            "most; delete some saved pieces"
        )
    return packed


def unpack(packed: bytes) -> Backup:
    """Return what the file holds; all of it is checked.

    Raises:
        UsageError: it is no backup, it is damaged, or a newer version made it.
    """
    try:
        file = msgspec.json.decode(packed, type=BackupFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            "this is not a backup of a Bachbox, or its end is missing; `bachbox backup` makes one"
        ) from error
    if file.bachbox_backup != FORMAT:
        raise UsageError(
            f"Bachbox {file.version} made this backup in format {file.bachbox_backup}, and this "
            f"one reads format {FORMAT}; update it first"
        )
    try:
        backup = msgspec.json.decode(file.content, type=Backup)
        if file.sha256 != _checksum(backup):
            raise UsageError("it has changed since it was made")
        _check(backup)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BachboxError) as error:
        raise UsageError(f"this backup is damaged ({error!s:.200}); use another") from error
    return backup


def _check(backup: Backup) -> None:
    if len(backup.scenes) > MAX_OWN_SCENES:
        raise UsageError(f"it has more than {MAX_OWN_SCENES} scenes")
    for name in backup.scenes:
        given_names.checked(name, "scene")
    for number, content in backup.pieces.items():
        if not (number.isascii() and number.isdecimal() and len(number) <= _MAX_NUMBER_DIGITS):
            raise UsageError("a piece in it has no number")
        given_names.checked(content.name, "piece")
        to_file(content)


def _checksum(backup: Backup) -> str:
    return hashlib.sha256(msgspec.json.encode(backup, order="sorted")).hexdigest()
