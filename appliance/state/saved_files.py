"""The files of saved pieces: one a piece, in a folder of their own in the state folder.

A file is a JSON object: the piece's name, when it was saved, and its record. The number in the
file's name never changes, so that links to it last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError
from appliance.music.files import piece_record
from appliance.music.files.piece_record import PieceRecord

FOLDER_NAME: Final = "pieces"

MAX_FILE_BYTES: Final = 2 << 20
"""A packed piece has at most one MiB, and a third more as text."""

_SUFFIX: Final = ".json"


class SavedFile(NamedTuple):
    """What a file holds."""

    name: str
    saved_at: str
    """UTC, in ISO 8601."""
    record: PieceRecord


class SavedContent(msgspec.Struct, frozen=True):
    """A file as JSON."""

    name: Annotated[str, Meta(max_length=60)]
    saved_at: Annotated[str, Meta(max_length=40)]
    packed: bytes
    """See :func:`appliance.music.files.piece_record.pack`."""


def path_of(folder: Path, number: int) -> Path:
    """Return the path of the saved piece with this number."""
    return folder / f"{number}{_SUFFIX}"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the files in ``folder``, the oldest first; none if it is missing.

    Raises:
        OSError: the folder cannot be read.
    """
    found = [path.stem for path in folder.glob(f"*{_SUFFIX}")]
    return sorted(int(stem) for stem in found if stem.isdecimal() and stem.isascii())


def read(path: Path) -> SavedFile:
    """Return what ``path`` holds.

    Raises:
        BachboxError: there is no such file, it cannot be read, or it is damaged.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise BachboxError(f"the saved piece {path} cannot be read ({error.strerror})") from error
    try:
        return to_file(msgspec.json.decode(content, type=SavedContent))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BachboxError) as error:
        raise BachboxError(f"the saved piece {path} is damaged ({error!s:.200})") from error


def to_file(content: SavedContent) -> SavedFile:
    """Return what ``content`` holds.

    Raises:
        BachboxError: the piece is damaged.
    """
    return SavedFile(content.name, content.saved_at, piece_record.unpack(content.packed))


def to_content(saved: SavedFile) -> SavedContent:
    """Return ``saved`` as it stands in a file."""
    return SavedContent(saved.name, saved.saved_at, piece_record.pack(saved.record))


def write(path: Path, saved: SavedFile) -> None:
    """Replace ``path``; after a power cut at any moment it is the old file or the new one.

    Raises:
        BachboxError: the disk is full, or permission is denied.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, msgspec.json.encode(to_content(saved)))
    except OSError as error:
        raise BachboxError(f"the piece cannot be saved as {path} ({error.strerror})") from error
