"""What a box keeps in its state folder, and the names of it: scenes and saved pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from appliance.cli.options import ParamType

if TYPE_CHECKING:
    from appliance.frontends.library import Library
    from appliance.state.settings import Settings
    from appliance.state.store import Store


class KeptName(ParamType):
    """The name of a scene or of a saved piece, completed from those of the running box.

    Args:
        of: whose name it is.
    """

    name = "name"

    def __init__(self, of: Literal["scenes", "pieces"]) -> None:
        self._of: Literal["scenes", "pieces"] = of

    def shell_complete(self, ctx: object, param: object, incomplete: str) -> list[Any]:
        """Return the names that begin with ``incomplete``, for the shell."""
        from click.shell_completion import CompletionItem

        from appliance.errors import BachboxError
        from appliance.frontends.library import LibraryRequest
        from appliance.frontends.local_socket import ask_library

        try:
            answer = ask_library(LibraryRequest(self._of))
        except BachboxError:
            return []
        names = [scene.name for scene in answer.scenes] + [piece.name for piece in answer.pieces]
        folded = incomplete.casefold()
        return [CompletionItem(name) for name in names if name.casefold().startswith(folded)]


def new_library(settings: Settings, store: Store) -> Library:
    """Return the library of the box that these settings belong to, and ``store`` keeps."""
    from appliance.frontends import history, library
    from appliance.frontends.box_events import BoxEvents
    from appliance.state import saved_files, saved_pieces, scenes
    from appliance.state.store import state_folder

    folder = state_folder()
    saved = saved_pieces.SavedPieces(folder / saved_files.FOLDER_NAME)
    settings.add_names("saved_piece", saved.names)
    return library.Library(
        settings,
        scenes.Scenes(folder / scenes.FILE_NAME, settings),
        saved,
        history.History(folder / history.FILE_NAME),
        BoxEvents(),
        store,
    )
