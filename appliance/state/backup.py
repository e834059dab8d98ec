"""Make a backup of the running box, and restore one.

A restore loses nothing: settings become those of the backup, but scenes and pieces that are only
in the box stay. It is whole or it is not: the backup is copied into the state folder first, and a
box whose plug is pulled in the middle finishes it at its next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

from appliance.common.atomic_write import write_atomically
from appliance.errors import BachboxError
from appliance.state import backup_file
from appliance.state.backup_file import Backup
from appliance.state.saved_pieces import SavedPieces
from appliance.state.scenes import Scenes
from appliance.state.settings import Settings
from appliance.state.settings_ranges_and_steps import BY_NAME, SETTINGS
from appliance.state.store import UNFINISHED_RESTORE, Store, to_stored

_STAYS: Final = ("playing", "saved_piece")
"""What plays now is not changed by a backup."""

logger = logging.getLogger(__name__)


class Backups:
    """Makes and restores backups; :meth:`restore` belongs to the thread of the settings.

    Args:
        folder: the state folder.
        settings: the settings of the box.
        store: keeps them.
        scenes: the scenes.
        saved: the saved pieces.
    """

    def __init__(
        self, folder: Path, settings: Settings, store: Store, scenes: Scenes, saved: SavedPieces
    ) -> None:
        self._unfinished = folder / UNFINISHED_RESTORE
        self._settings = settings
        self._store = store
        self._scenes = scenes
        self._saved = saved
        self._restoring = asyncio.Lock()

    def make(self) -> bytes:
        """Return the file of a backup. Reads from the disk.

        Raises:
            BachboxError: a saved piece cannot be read, or they are too large.
        """
        kept = {n: v for n, v in self._store.stored.items() if n not in _STAYS}
        pieces = {str(number): content for number, content in self._saved.contents().items()}
        return backup_file.pack(Backup(kept, self._scenes.own(), pieces))

    async def restore(self, packed: bytes) -> tuple[str, list[str]]:
        """Restore a backup while the box plays.

        Args:
            packed: the file, from whoever has it.

        Returns:
            What was restored, in words, and a sentence for each setting that this box cannot take.

        Raises:
            UsageError: it is no backup, is damaged, or has too much; nothing has changed.
            BachboxError: it cannot be written; scenes and pieces have not changed.
        """
        async with self._restoring:
            backup = await asyncio.to_thread(self._begin, packed)
            new_pieces = await asyncio.to_thread(self._keep, backup)
            return self._finish(backup, new_pieces)

    def finish_interrupted(self) -> None:
        """Finish a restore that was interrupted; at the start of the box, with settings restored.

        What cannot be finished is logged.
        """
        try:
            backup = backup_file.unpack(self._unfinished.read_bytes())
            self._saved.load()
            restored, problems = self._finish(backup, self._keep(backup))
        except (BachboxError, OSError) as error:
            logger.warning("a restore was interrupted, and cannot be finished: %s", error)
            self._forget()
            return
        logger.info("a restore that was interrupted is finished: %s", restored)
        for problem in problems:
            logger.warning("%s", problem)

    def _begin(self, packed: bytes) -> Backup:
        backup = backup_file.unpack(packed)
        try:
            self._unfinished.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._unfinished, packed, 0o600)
        except OSError as error:
            raise BachboxError(
                f"{self._unfinished}: the backup cannot be written ({error.strerror})"
            ) from error
        return backup

    def _keep(self, backup: Backup) -> int:
        """Keep scenes and pieces, or neither; return how many pieces are new."""
        before = self._scenes.own()
        try:
            self._scenes.add(backup.scenes)
            try:
                return self._saved.add({int(n): backup.pieces[n] for n in backup.pieces})
            except BachboxError:
                self._scenes.replace(before)
                raise
        except BachboxError:
            self._forget()
            raise

    def _finish(self, backup: Backup, new_pieces: int) -> tuple[str, list[str]]:
        problems, left_out = self._set(backup)
        stays = {n: v for n, v in self._store.stored.items() if n in _STAYS}
        kept = {n: v for n, v in backup.settings.items() if n not in left_out and n not in _STAYS}
        # The writer of the settings tries again by itself.
        with contextlib.suppress(OSError):
            self._store.replace(kept | stays)
        self._forget()
        counts = (
            (len(kept), "setting", ""),
            (len(backup.scenes), "scene", ""),
            (len(backup.pieces), "saved piece", f", {new_pieces} of them new here"),
        )
        words = [f"{n} {what}{'s' * (n != 1)}{more if n else ''}" for n, what, more in counts]
        return f"{words[0]}, {words[1]} and {words[2]}", problems

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self._unfinished.unlink(missing_ok=True)

    def _set(self, backup: Backup) -> tuple[list[str], set[str]]:
        """Set what the backup has, and the rest to what the config says.

        Returns:
            A sentence for each setting that this box cannot take, and their names.
        """
        names = [s.name for s in SETTINGS if s.is_kept and s.name not in _STAYS]
        wanted = to_stored(self._store.configured or self._settings.requested, names)
        wanted |= {name: backup.settings[name] for name in names if name in backup.settings}
        left_out = {name for name in backup.settings if name not in BY_NAME}
        problems = [f"this Bachbox has no setting {name}" for name in sorted(left_out)]
        # The scene last: a setting that it names and that is set after it would leave it.
        for name in sorted(wanted, key=lambda name: name == "scene"):
            if wanted[name] == to_stored(self._settings.requested, [name])[name]:
                continue
            try:
                self._settings.restore(name, wanted[name])
            except BachboxError as error:
                left_out.add(name)
                problems.append(str(error))
        return problems, left_out
