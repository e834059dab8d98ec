"""What is asked of the composer process: the next piece, the same one again, or a saved one."""

from __future__ import annotations

import contextlib
from typing import Final

from appliance.errors import UsageError
from appliance.ipc import shared_state
from appliance.ipc.shared_state import SharedState
from appliance.state.given_name_kinds import NOTHING
from appliance.state.saved_pieces import SavedPieces
from appliance.state.settings import Action, RequestedSettings, Settings

_ACTIONS: Final = {
    Action.NEXT_PIECE: shared_state.Action.NEXT_PIECE,
    Action.RESTART_PIECE: shared_state.Action.RESTART_PIECE,
}


class PieceRequests:
    """Counts the requests; the composer acts when the count has risen.

    Args:
        shared: the shared memory.
        saved: the saved pieces; None: there are none.

    Attributes:
        count: how many requests there were.
        action: the last of them.
        saved_piece: number of the saved piece that plays or is about to; 0: none.
    """

    def __init__(self, shared: SharedState, saved: SavedPieces | None) -> None:
        self._shared = shared
        self._saved = saved
        self.count = 0
        self.action = shared_state.Action.NONE
        self.saved_piece = 0
        self._has_begun = False
        """The saved piece has been heard."""

    def note(self, requested: RequestedSettings, changed: frozenset[str]) -> None:
        """Note what was asked for; ``changed`` names settings and actions."""
        for action, code in _ACTIONS.items():
            if action in changed:
                # A saved piece that has not begun yet never will.
                self._has_begun = True
                self._ask(code)
        if "saved_piece" in changed:
            self._choose(requested.saved_piece)

    def follow(self, settings: Settings) -> None:
        """Set ``saved_piece`` to "none" once the saved piece is over."""
        playing = self._shared.performer.read().piece.saved
        if not self.saved_piece:
            return
        if playing == self.saved_piece:
            self._has_begun = True
        elif self._has_begun and not playing:
            settings.change("saved_piece", NOTHING)

    def _choose(self, name: str) -> None:
        number = 0
        if self._saved is not None and name != NOTHING:
            with contextlib.suppress(UsageError):
                number = self._saved.find(name).id
        if number == self.saved_piece:
            return  # It was renamed.
        self.saved_piece, self._has_begun, before = number, False, self.saved_piece
        if number:
            self._ask(shared_state.Action.PLAY_SAVED)
        elif self._shared.performer.read().piece.saved == before or self._is_pending():
            self._ask(shared_state.Action.NEXT_PIECE)

    def _is_pending(self) -> bool:
        is_saved = self.action is shared_state.Action.PLAY_SAVED
        return is_saved and self._shared.composer.read().actions_done < self.count

    def _ask(self, action: shared_state.Action) -> None:
        self.count += 1
        self.action = action
