"""What the listener keeps: scenes and saved pieces, for all frontends.

Everything here belongs to the thread of the daemon's event loop; disks are used in other threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from appliance.errors import BachboxError, UsageError
from appliance.frontends.box_events import BoxEvent, BoxEvents
from appliance.frontends.history import FILE_NAME as HISTORY_FILE
from appliance.frontends.history import History
from appliance.music.files.piece_record import PieceRecord
from appliance.state.box_status import BoxStatus
from appliance.state.given_name_kinds import NOTHING
from appliance.state.saved_files import FOLDER_NAME as SAVED_FOLDER
from appliance.state.saved_pieces import SavedPiece, SavedPieces
from appliance.state.scenes import FILE_NAME as SCENES_FILE
from appliance.state.scenes import Scene, Scenes
from appliance.state.setting_kinds import Value
from appliance.state.settings import Action, RequestedSettings, Settings
from appliance.state.store import UNFINISHED_RESTORE, Store, state_folder

if TYPE_CHECKING:
    from appliance.state.backup import Backups

logger = logging.getLogger(__name__)


class LibraryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the shell asks for."""

    of: Literal["scenes", "pieces"]
    do: Literal["list", "save", "rename", "delete"] = "list"
    name: str = ""
    new_name: str = ""


class LibraryAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shell gets: what there is now."""

    scenes: list[Scene] = []
    pieces: list[SavedPiece] = []
    name: str = ""
    """Of what was saved, renamed or deleted."""


class Library:
    """The scenes and saved pieces of the running box; runs as a frontend.

    Args:
        settings: the settings of the box.
        scenes: the scenes.
        saved: the saved pieces.
        history: the last pieces, from which one is saved.
        events: gets an event when a piece is saved.
        store: keeps the settings.
    """

    name = "library"

    def __init__(
        self,
        settings: Settings,
        scenes: Scenes,
        saved: SavedPieces,
        history: History,
        events: BoxEvents,
        store: Store,
    ) -> None:
        self._settings = settings
        self._store = store
        self.scenes = scenes
        self.saved = saved
        self.history = history
        self.events = events
        self._box: BoxStatus | None = None
        self._unfinished: set[int] = set()
        """IDs in the history of pieces that were saved before they were over."""
        self._tasks: set[asyncio.Task[None]] = set()
        history.on_finished = self._finished

    @cached_property
    def backups(self) -> Backups:
        """Makes and restores backups; loaded when somebody asks for one."""
        from appliance.state.backup import Backups

        return Backups(state_folder(), self._settings, self._store, self.scenes, self.saved)

    def finish_interrupted_restore(self) -> None:
        """Finish the restore of a backup that was interrupted, if there is one."""
        if (state_folder() / UNFINISHED_RESTORE).exists():
            self.backups.finish_interrupted()

    async def run(self, settings: Settings, box: BoxStatus) -> None:
        """Read the saved pieces, and save one whenever a button asks for it, until cancelled."""
        self._box = box
        await asyncio.to_thread(self.saved.load)
        stop_observing = settings.observe(self._settings_changed)
        try:
            await asyncio.Event().wait()
        finally:
            stop_observing()

    async def save_piece(self, name: str = "", history_id: int | None = None) -> SavedPiece:
        """Keep a piece for good.

        A piece that still plays is kept as far as it was heard, and as a whole once it is over.

        Args:
            name: what it is called; its title if not given.
            history_id: which one of the last pieces; if not given, the one that plays, or the one
                before it as long as only a few notes of it were heard.

        Raises:
            UsageError: there is no such piece, the name is not allowed, or too many are saved.
            BachboxError: it cannot be written.
        """
        playing = self._box.now_playing().saved if self._box else 0
        if playing and history_id is None and (kept := self.saved.get(playing)):
            return await self.rename_piece(playing, name) if name else kept
        entries = self.history.listing()
        if history_id is not None:
            entries = [entry for entry in entries if entry.id == history_id]
        record = self.history.get(entries[0].id) if entries else None
        if record is None:
            raise UsageError("there is no such piece; wait until a few notes were played")
        piece = await self.save_record(record, name)
        if entries[0].playing:
            self._unfinished.add(entries[0].id)
        return piece

    async def save_record(self, record: PieceRecord, name: str = "") -> SavedPiece:
        """Keep a piece that was not played here; see :meth:`SavedPieces.save`.

        Raises:
            UsageError: as :meth:`SavedPieces.save`.
            BachboxError: as :meth:`SavedPieces.save`.
        """
        piece = await asyncio.to_thread(self.saved.save, record, name)
        logger.info("saved: %s", piece.name)
        self.events.emit(BoxEvent.SAVED, piece.name)
        return piece

    async def rename_piece(self, number: int, name: str) -> SavedPiece:
        """Give a saved piece another name; see :meth:`SavedPieces.rename`.

        Raises:
            UsageError: as :meth:`SavedPieces.rename`.
            BachboxError: as :meth:`SavedPieces.rename`.
        """
        before = self.saved.get(number)
        piece = await asyncio.to_thread(self.saved.rename, number, name)
        if before is not None and self._settings.requested.saved_piece == before.name:
            self._settings.change("saved_piece", piece.name)
        return piece

    async def delete_piece(self, number: int) -> SavedPiece:
        """Delete a saved piece; see :meth:`SavedPieces.delete`. If it plays, it plays to its end.

        Raises:
            UsageError: as :meth:`SavedPieces.delete`.
            BachboxError: as :meth:`SavedPieces.delete`.
        """
        return await asyncio.to_thread(self.saved.delete, number)

    def play_piece(self, number: int) -> None:
        """Play a saved piece now, on a paused box too.

        Raises:
            UsageError: there is no saved piece with this number.
        """
        piece = self.saved.get(number)
        if piece is None:
            raise UsageError(f"there is no saved piece with the number {number}")
        self._settings.change_all({"saved_piece": piece.name, "playing": True})

    async def save_scene(self, name: str, values: dict[str, Value] | None = None) -> str:
        """Keep a scene and return its name; see :meth:`Scenes.save`.

        Args:
            name: what it is called.
            values: what it sets; the current settings if not given, and then it applies at once.

        Raises:
            UsageError: as :meth:`Scenes.save`.
            BachboxError: as :meth:`Scenes.save`.
        """
        kept = self.scenes.current_values() if values is None else values
        name = await asyncio.to_thread(self.scenes.save, name, kept)
        if values is None:
            self._settings.change("scene", name)
        return name

    async def delete_scene(self, name: str) -> str:
        """Delete a scene and return its name; see :meth:`Scenes.delete`.

        Raises:
            UsageError: as :meth:`Scenes.delete`.
            BachboxError: as :meth:`Scenes.delete`.
        """
        name = await asyncio.to_thread(self.scenes.delete, name)
        if self._settings.requested.scene == name:
            self._settings.change("scene", NOTHING)
        return name

    async def answer(self, request: LibraryRequest) -> LibraryAnswer:
        """Do what the shell asks for.

        Raises:
            BachboxError: it cannot be done.
        """
        if request.of == "scenes":
            name = ""
            if request.do == "save":
                name = await self.save_scene(request.name)
            elif request.do == "delete":
                name = await self.delete_scene(request.name)
            return LibraryAnswer(scenes=self.scenes.listing(), name=name)
        piece = None
        if request.do == "save":
            piece = await self.save_piece(request.name)
        elif request.do == "rename":
            number = self.saved.find(request.name).id
            piece = await self.rename_piece(number, request.new_name)
        elif request.do == "delete":
            piece = await self.delete_piece(self.saved.find(request.name).id)
        return LibraryAnswer(pieces=self.saved.listing(), name=piece.name if piece else "")

    def _settings_changed(self, _requested: RequestedSettings, changed: frozenset[str]) -> None:
        if Action.SAVE in changed:
            self._start(self._save_for_button())

    async def _save_for_button(self) -> None:
        try:
            await self.save_piece()
        except BachboxError as error:
            logger.warning("nothing was saved: %s", error)

    def _finished(self, history_id: int, record: PieceRecord) -> None:
        """Complete a piece that was saved while it played."""
        if history_id in self._unfinished:
            self._unfinished.discard(history_id)
            self._start(self._complete(record))

    async def _complete(self, record: PieceRecord) -> None:
        try:
            await asyncio.to_thread(self.saved.save_more, record)
        except BachboxError as error:
            logger.warning("only the beginning of a piece is saved: %s", error)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def new_library(settings: Settings, store: Store) -> Library:
    """Return the library of the box that these settings belong to, and ``store`` keeps."""
    folder = state_folder()
    saved = SavedPieces(folder / SAVED_FOLDER)
    settings.add_names("saved_piece", saved.names)
    return Library(
        settings,
        Scenes(folder / SCENES_FILE, settings),
        saved,
        History(folder / HISTORY_FILE),
        BoxEvents(),
        store,
    )
