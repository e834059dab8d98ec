"""The verbs for the running box: pause, resume, toggle, next, sleep; and relative values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import bachbox, home, playing


def test_a_player_is_operated_from_the_shell(tmp_path: Path) -> None:
    env = home(tmp_path)

    def state(*arguments: str) -> dict[str, Any]:
        said = bachbox(*arguments, "--json", env=env)
        assert said.code == 0, said.err
        return dict(json.loads(said.out))

    with playing("--output", "null", "--volume", "50", env=env) as box:
        box.wait_for("composes, seed")
        assert state("pause")["settings"]["playing"] is False
        assert state("resume")["settings"]["playing"] is True
        assert state("toggle")["settings"]["playing"] is False
        assert state("toggle")["settings"]["playing"] is True
        assert state("set", "volume=+5")["settings"]["volume"] == 55
        assert state("set", "volume=-10")["settings"]["volume"] == 45
        assert state("set", "volume+=2", "playing=toggle")["settings"] | {} == {
            **state("status")["settings"], "volume": 47, "playing": False,
        }  # fmt: skip
        assert state("sleep", "20")["settings"]["sleep"] == 20
        assert state("sleep", "off")["settings"]["sleep"] == 0
        assert state("sleep", "20")["settings"]["playing"] is False
        assert state("resume")["settings"]["sleep"] == 20, "a pause does not end the timer"
        before = state("resume")["health"]["rewinds"]
        state("next")
        box.wait_for(r"piece 2\b")
        assert state("status")["health"]["rewinds"] > before
        assert box.end() == 0
        assert (box.counts()["composer"], box.counts()["performer"]) == (0, 0)


def test_a_sleep_timer_that_is_not_possible_is_refused(tmp_path: Path) -> None:
    for minutes in ("soon", "241", "-5"):
        bachbox("sleep", "--", minutes, env=home(tmp_path)).is_one_sentence(
            2, "sleep: ", "it must be a number from 0 to 240 minutes"
        )


@pytest.mark.parametrize("verb", ["pause", "resume", "toggle", "next", "sleep 20"])
def test_without_a_box_a_verb_says_so(tmp_path: Path, verb: str) -> None:
    bachbox(*verb.split(), env=home(tmp_path)).is_one_sentence(1, "no Bachbox is running here")
