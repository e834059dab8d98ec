"""The first 200 events of each shipped model at seed 1, recorded from release 0.1.0.

int8 arithmetic differs between the two runtimes, so each has a recording of its own.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.events import EVENT_TYPES, Event, PieceStart, Tokens
from tests.support.making_music import MODELS

GOLDEN = Path(__file__).parent / "golden"


def plain(event: Event) -> list[Any]:
    """What an event holds, as the recordings name it."""
    if isinstance(event, Tokens):
        return [event.tick, "tokens", *event.tokens]
    name = "piece" if isinstance(event, PieceStart) else EVENT_TYPES[type(event)]
    return [event.tick, name, *event[1:]]


@pytest.mark.parametrize("model", ["chorales", "folk", "keyboard", "strings"])
def test_a_seed_gives_the_same_music_as_release_0_1_0(runtime: str, model: str) -> None:
    recorded = json.loads((GOLDEN / f"{runtime}.json").read_text())[model]

    composer = Composer(model_file.load(MODELS / f"{model}.tflite"), seed=1)

    assert [plain(event) for event in islice(composer, len(recorded))] == recorded
