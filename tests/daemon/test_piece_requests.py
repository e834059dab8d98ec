"""The setting ``saved_piece`` starts a saved piece, and is "none" again when the piece is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.daemon.piece_requests import PieceRequests
from appliance.ipc import shared_state
from appliance.ipc.shared_state import NO_PIECE, SharedState
from appliance.state.saved_pieces import SavedPieces
from appliance.state.settings import ModelDefaults, RequestedSettings, Settings
from tests.workers.test_saved_pieces import record

DEFAULTS = ModelDefaults(tempo_bpm=80, temperature=0.9, top_p=0.95, program=19)


class Desk:
    """Settings with two saved pieces, and what the composer is asked for."""

    def __init__(self, folder: Path) -> None:
        self.saved = SavedPieces(folder)
        self.mine = self.saved.save(record(played_at="one"), "Mine").id
        self.yours = self.saved.save(record(played_at="two"), "Yours").id
        self.settings = Settings(
            RequestedSettings(model="chorales"), lambda: ["chorales"], lambda _: DEFAULTS
        )
        self.settings.add_names("saved_piece", self.saved.names)
        self.shared = SharedState.create()
        self.requests = PieceRequests(self.shared, self.saved)
        self.settings.observe(self.requests.note)

    def heard(self, saved: int) -> None:
        """The performer plays this saved piece now, or composed music."""
        performer = self.shared.performer.read()
        piece = NO_PIECE._replace(number=3, saved=saved)
        self.shared.performer.write(performer._replace(piece=piece))
        composer = self.shared.composer.read()
        self.shared.composer.write(composer._replace(actions_done=self.requests.count))
        self.requests.follow(self.settings)

    @property
    def asked(self) -> tuple[int, str, int]:
        return self.requests.count, self.requests.action.name, self.requests.saved_piece

    @property
    def shown(self) -> str:
        return self.settings.requested.saved_piece


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_saved_piece_is_asked_for_and_followed_to_its_end(desk: Desk) -> None:
    desk.settings.change("saved_piece", "mine")
    assert desk.asked == (1, "PLAY_SAVED", desk.mine)
    desk.heard(0)
    assert desk.shown == "Mine"
    desk.heard(desk.mine)
    assert desk.shown == "Mine"
    desk.heard(0)
    assert desk.shown == "none"
    assert desk.asked == (1, "PLAY_SAVED", 0)


def test_none_ends_the_piece(desk: Desk) -> None:
    desk.settings.change("saved_piece", "Mine")
    desk.heard(desk.mine)
    desk.settings.change("saved_piece", "none")
    assert desk.asked == (2, "NEXT_PIECE", 0)


def test_none_calls_off_a_piece_that_has_not_begun(desk: Desk) -> None:
    desk.settings.change("saved_piece", "Mine")
    desk.settings.change("saved_piece", "none")
    assert desk.asked == (2, "NEXT_PIECE", 0)


def test_the_next_piece_before_it_has_begun_is_the_end_of_it(desk: Desk) -> None:
    desk.settings.change("saved_piece", "Mine")
    desk.settings.act("next_piece")
    assert desk.requests.action is shared_state.Action.NEXT_PIECE
    desk.heard(0)
    assert desk.shown == "none"


def test_another_saved_piece_takes_over(desk: Desk) -> None:
    desk.settings.change("saved_piece", "Mine")
    desk.heard(desk.mine)
    desk.settings.change("saved_piece", "Yours")
    desk.heard(desk.mine)
    assert desk.shown == "Yours"
    assert desk.asked == (2, "PLAY_SAVED", desk.yours)


def test_another_name_does_not_begin_the_piece_again(desk: Desk) -> None:
    desk.settings.change("saved_piece", "Mine")
    desk.heard(desk.mine)
    desk.saved.rename(desk.mine, "Ours")
    desk.settings.change("saved_piece", "Ours")
    assert desk.asked == (1, "PLAY_SAVED", desk.mine)
