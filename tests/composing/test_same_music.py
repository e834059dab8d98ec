"""The first 200 events of each shipped model at seed 1, as they were recorded.

A change that is not meant to be heard keeps them. One that is meant to be heard records them again,
and its commit says why::

    BACHBOX_RECORD=1 python -m pytest tests/composing/test_same_music.py

int8 arithmetic differs between the two runtimes, so each has a recording of its own. No passage is
rehearsed, because tflite-runtime takes minutes for that on processors without its fast kernels.
"""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.events import EVENT_TYPES, Event, PieceStart, Tokens
from tests.support.making_music import MODELS

EVENTS = 200
GOLDEN = Path(__file__).parent / "golden"


def plain(event: Event) -> list[Any]:
    """What an event holds, as the recordings name it."""
    if isinstance(event, Tokens):
        return [event.tick, "tokens", *event.tokens]
    name = "piece" if isinstance(event, PieceStart) else EVENT_TYPES[type(event)]
    return [event.tick, name, *event[1:]]


@pytest.mark.parametrize("model", ["chorales", "folk", "keyboard", "strings"])
def test_a_seed_gives_the_same_music_as_when_it_was_recorded(runtime: str, model: str) -> None:
    composer = Composer(model_file.load(MODELS / f"{model}.tflite"), seed=1)
    composer.spare_steps = 0

    composed = [plain(event) for event in islice(composer, EVENTS)]

    if os.environ.get("BACHBOX_RECORD"):
        record(GOLDEN / f"{runtime}.json", model, composed)
    assert composed == json.loads((GOLDEN / f"{runtime}.json").read_text())[model]


def record(path: Path, model: str, composed: list[list[Any]]) -> None:
    """Write what a model composes into the recordings, an event a line."""
    recordings = json.loads(path.read_text()) | {model: composed}
    models = (
        f'"{name}": [\n' + ",\n".join(json.dumps(event) for event in events) + "\n]"
        for name, events in recordings.items()
    )
    path.write_text("{\n" + ",\n".join(models) + "\n}\n")
