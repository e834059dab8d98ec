"""The saved pieces: kept for good, with a name that can be changed.

A piece keeps its number for ever, so that links to it last. The list is in memory; the pieces
themselves are read from their files when they are needed.
"""

from __future__ import annotations

import contextlib
import datetime
import itertools
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from appliance.errors import BachboxError, UsageError
from appliance.music.files.piece_record import PieceRecord
from appliance.state import given_names, saved_files
from appliance.state.given_name_kinds import find_name, known_name
from appliance.state.piece_entry import PieceEntry, entry_fields
from appliance.state.saved_files import SavedContent, SavedFile

MAX_PIECES: Final = 200
"""A piece takes some ten kilobytes."""

_MAX_NUMBER: Final = 2**32 - 1

logger = logging.getLogger(__name__)


class SavedPiece(PieceEntry, frozen=True, kw_only=True):
    """A saved piece in the list."""

    id: int
    """Never changes, and is never that of another piece."""
    name: str
    saved_at: str
    """UTC, in ISO 8601."""


class SavedPieces:
    """The saved pieces of this box; its methods may be called in any thread.

    Args:
        folder: where the files are; it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pieces: dict[int, SavedPiece] = {}
        self._last_number = 0
        """The highest number that a piece has had."""
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the list from the disk; a damaged file is logged and left alone."""
        found: dict[int, SavedPiece] = {}
        try:
            numbers = saved_files.numbers(self.folder)
        except OSError as error:
            logger.warning("%s: cannot read the saved pieces (%s)", self.folder, error.strerror)
            return
        if len(numbers) > MAX_PIECES:
            logger.warning(
                "%s: there are %d saved pieces; the newest %d are listed",
                self.folder, len(numbers), MAX_PIECES,
            )  # fmt: skip
        for number in numbers[-MAX_PIECES:]:
            try:
                file = saved_files.read(saved_files.path_of(self.folder, number))
                if not 0 < number <= _MAX_NUMBER:
                    raise UsageError(f"{number} is not the number of a saved piece")
                name = self._free_name(given_names.checked(file.name, "piece"), found)
                found[number] = _entry(number, file._replace(name=name))
            except BachboxError as error:
                logger.warning("%s; the other saved pieces are there", error)
        with self._lock:
            self._pieces = found

    def names(self) -> list[str]:
        """Return the names, in the order in which the pieces were saved."""
        return [piece.name for piece in self._pieces.values()]

    def listing(self) -> list[SavedPiece]:
        """Return all pieces, the newest first."""
        return list(self._pieces.values())[::-1]

    def find(self, name: str) -> SavedPiece:
        """Return the piece called ``name``, in small or capital letters.

        Raises:
            UsageError: there is none.
        """
        known = known_name("saved piece", name, self.names())
        return next(piece for piece in self._pieces.values() if piece.name == known)

    def get(self, number: int) -> SavedPiece | None:
        """Return the piece with this number, or None."""
        return self._pieces.get(number)

    def record(self, number: int) -> PieceRecord:
        """Return what was saved. Reads from the disk.

        Raises:
            BachboxError: the file is missing or damaged.
        """
        return saved_files.read(saved_files.path_of(self.folder, number)).record

    def save(self, record: PieceRecord, name: str = "") -> SavedPiece:
        """Keep a piece; one that is kept already is replaced if more of it is known now.

        Writes to the disk.

        Args:
            record: the piece.
            name: what it is called; its title if not given.

        Raises:
            UsageError: the name is not allowed, or there are too many pieces.
            BachboxError: it cannot be written; nothing has changed.
        """
        if name:
            name = given_names.checked(name, "piece")
        with self._lock:
            kept = self._same(record)
            if kept is not None and not name and not _adds_to(kept, record):
                return kept
            if kept is None and len(self._pieces) >= MAX_PIECES:
                raise UsageError(
                    f"there are {MAX_PIECES} saved pieces, which is the most; delete one first"
                )
            number = kept.id if kept else self._new_number()
            others = {key: piece for key, piece in self._pieces.items() if key != number}
            if kept is not None and not name:
                name = kept.name
            name = self._free_name(name or entry_fields(record)["title"], others)
            saved_at = kept.saved_at if kept else _now()
            return self._write(number, SavedFile(name, saved_at, record))

    def save_more(self, record: PieceRecord) -> None:
        """Replace a kept piece by ``record``, in which there is more of it; unless it is gone.

        Raises:
            BachboxError: it cannot be written; nothing has changed.
        """
        with self._lock:
            kept = self._same(record)
            if kept is not None and _adds_to(kept, record):
                self._write(kept.id, SavedFile(kept.name, kept.saved_at, record))

    def rename(self, number: int, name: str) -> SavedPiece:
        """Give a piece another name. Writes to the disk.

        Raises:
            UsageError: there is no such piece, or the name is not allowed or taken.
            BachboxError: the file is damaged or cannot be written; nothing has changed.
        """
        name = given_names.checked(name, "piece")
        with self._lock:
            kept = self._require(number)
            others = [piece.name for piece in self._pieces.values() if piece.id != number]
            if taken := find_name(name, others):
                raise UsageError(f"another saved piece is called {taken}; choose another name")
            return self._write(number, SavedFile(name, kept.saved_at, self.record(number)))

    def delete(self, number: int) -> SavedPiece:
        """Delete a piece, and return what it was.

        Raises:
            UsageError: there is no such piece.
            BachboxError: the file cannot be deleted.
        """
        with self._lock:
            kept = self._require(number)
            path = saved_files.path_of(self.folder, number)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise BachboxError(f"{path}: cannot delete it ({error.strerror})") from error
            self._pieces = {key: piece for key, piece in self._pieces.items() if key != number}
            return kept

    def contents(self) -> dict[int, SavedContent]:
        """Return all pieces by number, as their files hold them. Reads from the disk.

        Raises:
            BachboxError: a file is missing or damaged.
        """
        with self._lock:
            return {
                number: saved_files.to_content(
                    saved_files.read(saved_files.path_of(self.folder, number))._replace(
                        name=piece.name
                    )
                )
                for number, piece in self._pieces.items()
            }

    def add(self, contents: Mapping[int, SavedContent]) -> int:
        """Keep pieces that were saved before, under their numbers; return how many are new.

        A piece that is there already stays as it is. Writes to the disk.

        Raises:
            UsageError: there would be too many pieces; nothing has changed.
            BachboxError: a piece is damaged or cannot be written; nothing has changed.
        """
        with self._lock:
            before = self._pieces
            files = {number: saved_files.to_file(contents[number]) for number in sorted(contents)}
            new = {n: file for n, file in files.items() if self._same(file.record) is None}
            total = len(before) + len(new)
            if total > MAX_PIECES:
                raise UsageError(
                    f"there would be {total} saved pieces, and {MAX_PIECES} are the most; delete "
                    "some first"
                )
            try:
                for number, file in new.items():
                    name = self._free_name(file.name, self._pieces)
                    is_free = 0 < number <= _MAX_NUMBER and number not in self._pieces
                    self._write(number if is_free else self._new_number(), file._replace(name=name))
            except BachboxError:
                for number in self._pieces.keys() - before.keys():
                    with contextlib.suppress(OSError):
                        saved_files.path_of(self.folder, number).unlink()
                self._pieces = before
                raise
            # In the order in which they were saved.
            self._pieces = dict(sorted(self._pieces.items()))
            return len(new)

    def _require(self, number: int) -> SavedPiece:
        kept = self._pieces.get(number)
        if kept is None:
            raise UsageError(f"there is no saved piece with the number {number}")
        return kept

    def _write(self, number: int, file: SavedFile) -> SavedPiece:
        saved_files.write(saved_files.path_of(self.folder, number), file)
        entry = _entry(number, file)
        self._pieces = self._pieces | {number: entry}
        return entry

    def _same(self, record: PieceRecord) -> SavedPiece | None:
        """Return the kept piece that ``record`` is, as it was played at the same time."""
        about = (record.seed, record.piece.number, record.played_at)
        for kept in self._pieces.values():
            if record.played_at and (kept.seed, kept.piece, kept.played_at) == about:
                return kept
        return None

    def _new_number(self) -> int:
        """Return a number that no piece had: the seconds since 1970, or one more than the last.

        Raises:
            UsageError: the last one is the highest that there is.
        """
        last = self._last_number
        with contextlib.suppress(OSError):
            last = max(last, *saved_files.numbers(self.folder), 0)
        number = max(int(time.time()), last + 1)
        if not 0 < number <= _MAX_NUMBER:
            raise UsageError(f"{self.folder}: a file there has too high a number; remove {last}")
        self._last_number = number
        return number

    def _free_name(self, name: str, others: dict[int, SavedPiece]) -> str:
        """Return ``name``, with a number behind it if another piece is called that."""
        taken = [piece.name for piece in others.values()]
        for count in itertools.count(1):
            ending = f" ({count})" if count > 1 else ""
            free = name[: given_names.MAX_CHARACTERS - len(ending)].rstrip() + ending
            if not find_name(free, taken):
                break
        return free


def _adds_to(kept: SavedPiece, record: PieceRecord) -> bool:
    """Whether more of the piece is known now than when it was saved."""
    return record.note_count > kept.notes or record.complete > kept.complete


def _entry(number: int, file: SavedFile) -> SavedPiece:
    fields = entry_fields(file.record)
    return SavedPiece(id=number, name=file.name, saved_at=file.saved_at, **fields)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
