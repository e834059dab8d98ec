"""What :mod:`benchmarks.instructions` runs in QEMU, on an emulated Raspberry Pi.

``python -m benchmarks.instructions_guest MUSIC_S MODEL...`` prints a line of JSON for each
measurement. Around each, :func:`os.getppid` makes the plugin of QEMU print its count.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import sys
from collections.abc import Callable

from appliance.audio.event_source import finished
from appliance.audio.performer import Performer
from appliance.audio.synth import FluidSynth
from appliance.audio.tempo_map import TempoMap
from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.config import loader
from appliance.daemon.play_options import PlayOptions
from appliance.ipc.shared_state import LiveSettings
from appliance.music.events import TICKS_PER_BEAT, Event

SAMPLE_RATE = 48_000
"""Most sound cards' own."""

WARM_UP_S = 1.0
WARM_UP_TICKS = 2 * TICKS_PER_BEAT
"""The runtime prepares itself in its first steps."""


def counted(what: str, model: str, run: Callable[[], float]) -> None:
    """Let the instructions of ``run``, which gives the seconds of music it made, be counted."""
    os.getppid()
    music_s = run()
    os.getppid()
    print(json.dumps({"what": what, "model": model, "music_s": music_s}), flush=True)


def composed(model: str) -> tuple[list[Event], float]:
    """Music by ``model`` with a whole piece, which is counted, and its tempo in beats a minute.

    Within a piece there would be too little to count: what was rehearsed is composed already.
    """
    folders = loader.model_folders(loader.Config())
    composer = Composer(model_file.load(model_file.find(model, folders)), seed=1)
    tempo_bpm: float = composer.model_file.tempo_bpm
    events: list[Event] = []

    def compose(is_done: Callable[[], bool]) -> float:
        start = composer.tick
        while not is_done():
            events.extend(composer.step())
        return (composer.tick - start) / TICKS_PER_BEAT * 60 / tempo_bpm

    compose(lambda: composer.tick >= WARM_UP_TICKS)
    events.extend(composer.next_piece())
    number = composer.piece.number + 1
    counted("composer", model, lambda: compose(lambda: composer.piece.number > number))
    return events, tempo_bpm


def main(music_s: float, *models: str) -> None:
    """Compose with each model, and perform ``music_s`` of what the first has composed."""
    # It would ask programs of this machine, which know nothing of the emulated one.
    ctypes.util.find_library = lambda name: f"lib{name}.so.3"
    for model in reversed(models):
        events, tempo_bpm = composed(model)
    performer = Performer(
        finished(events),
        FluidSynth(loader.soundfont(loader.Config()), SAMPLE_RATE),
        TempoMap(SAMPLE_RATE, tempo_bpm),
        lambda: LiveSettings(tempo_bpm=tempo_bpm),
    )

    def perform(seconds: float) -> float:
        start = performer.frame
        while performer.frame < start + seconds * SAMPLE_RATE:
            performer.render(PlayOptions.block_frames)
        return (performer.frame - start) / SAMPLE_RATE

    perform(WARM_UP_S)
    counted("performer", models[0], lambda: perform(music_s - WARM_UP_S))


if __name__ == "__main__":
    main(float(sys.argv[1]), *sys.argv[2:])
