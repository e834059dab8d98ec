"""A real box: a piece is saved, found again, and played again; a scene is chosen; a backup."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.frontends import local_socket
from appliance.frontends.local_socket import Request
from appliance.state.box_status import NowPlaying, Status
from tests.support.command import bachbox, home, playing
from tests.support.running_box import eventually


def test_a_piece_is_saved_and_played_again_and_a_scene_is_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = home(tmp_path)
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, env[name])

    def ask(*arguments: str) -> Any:
        said = bachbox(*arguments, "--json", env=env)
        assert said.code == 0, said.err
        return json.loads(said.out)

    def status() -> Status:
        return next(local_socket.ask(Request()))

    def now() -> NowPlaying:
        return status().now_playing

    def is_playing(saved: int) -> Callable[[], bool]:
        return lambda: now().saved == saved

    box_arguments = ("--output", "null", "--tempo", "240", "--seed", "7")
    with playing(*box_arguments, env=env) as box:
        box.wait_for("composes, seed")
        # So long that it is still heard when a busy machine has ended the command that plays it.
        eventually(lambda: now().bar >= 10)
        piece = ask("save", "Mine")[0]
        assert (piece["name"], piece["seed"], piece["piece"]) == ("Mine", 7, 1)
        composed = now().title
        ask("next")
        eventually(lambda: now().piece == 2)
        assert ask("replay", "mine")["settings"]["saved_piece"] == "Mine"
        eventually(is_playing(piece["id"]))
        assert now().title == composed
        # It was cut short after these bars, so it is soon over.
        eventually(is_playing(0))
        eventually(lambda: status().settings.saved_piece == "none")
        assert now().piece == 3
        settings = ask("scene", "village dance")["settings"]
        assert (settings["scene"], settings["model"]) == ("Village dance", "folk")
        assert ask("saved", "--rename", "Mine", "Ours")[0]["id"] == piece["id"]
        file = tmp_path / "kept.json"
        assert bachbox("backup", file, env=env).code == 0
        ask("saved", "--delete", "Ours")
        ask("set", "tempo=50")
        # Before it, a file that is none.
        bachbox("restore", __file__, env=env).is_one_sentence(2, "not a backup of a Bachbox")
        said = bachbox("restore", file, env=env)
        assert (said.code, said.err) == (0, "")
        assert "1 saved piece, 1 of them new here" in said.out
        assert ask("saved")[0]["id"] == piece["id"]
        assert status().settings.scene == "Village dance"
        assert box.end() == 0
    with playing(*box_arguments, "--piece", "ours", env=env) as box:
        box.wait_for("composes, seed")
        eventually(is_playing(piece["id"]))
        assert now().title == composed
        assert ask("saved", "--delete", "Ours") == []
        assert box.end() == 0
    bachbox("play", "--piece", "ours", "--output", "null", env=env).is_one_sentence(
        2, "there is no saved piece 'ours'; there are: none"
    )
