"""What a box keeps in its state folder: scenes, saved pieces and the last pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.frontends.library import Library
    from appliance.state.settings import Settings


def new_library(settings: Settings) -> Library:
    """Return the library of the box that these settings belong to."""
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
    )
