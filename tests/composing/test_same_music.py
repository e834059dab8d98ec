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
from appliance.music.events import Event, Kind, piece_of, tokens_of
from tests.support.making_music import MODELS

GOLDEN = Path(__file__).parent / "golden"


def plain(event: Event) -> list[Any]:
    """What an event holds, as the recordings name it."""
    match event.kind:
        case Kind.NOTE_ON:
            return [event.tick, "note_on", event.voice, event.pitch, event.velocity]
        case Kind.NOTE_OFF:
            return [event.tick, "note_off", event.voice, event.pitch, event.value, event.aux]
        case Kind.PACE:
            return [event.tick, "tempo_factor", event.value]
        case Kind.TOKENS:
            return [event.tick, "tokens", *tokens_of(event)]
        case Kind.PIECE:
            about = piece_of(event)
            meter = (about.beats_per_bar, about.pickup_ticks, about.beat_ticks)
            return [event.tick, "piece", about.number, about.tonic, about.minor, *meter]


@pytest.mark.parametrize("model", ["chorales", "folk", "keyboard", "strings"])
def test_a_seed_gives_the_same_music_as_release_0_1_0(runtime: str, model: str) -> None:
    recorded = json.loads((GOLDEN / f"{runtime}.json").read_text())[model]

    composer = Composer(model_file.load(MODELS / f"{model}.tflite"), seed=1)

    assert [plain(event) for event in islice(composer, len(recorded))] == recorded
