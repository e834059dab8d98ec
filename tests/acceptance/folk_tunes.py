"""Tunes of the folk model checked by abc2midi: ``python -m tests.acceptance.folk_tunes 200``.

abc2midi must read every tune without an error or a warning, and play the same notes as Bachbox,
repeats included.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.codecs.abc.writer import format_book
from appliance.music.events import Event
from appliance.music.notes import notes_from
from tests.support.abc2midi import abc2midi, are_the_same
from tests.support.making_music import MODELS, compose_pieces, from_start

MIN_CLEAN_SHARE = 0.95


def main() -> int:
    """The exit code, 0 if all tunes have the same notes and enough have no complaint."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.folk_tunes", description=__doc__
    )
    parser.add_argument("tunes", type=int, help="how many tunes to compose")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=MODELS / "folk.tflite")
    parser.add_argument("--keep", type=Path, help="write all tunes to this file")
    options = parser.parse_args()
    model = model_file.load(options.model)
    composer = Composer(model, seed=options.seed, temperature=options.temperature)
    clean = same = finished = 0
    events: list[Event] = []
    for piece in compose_pieces(composer, options.tunes):
        finished += not piece.given_up
        events += piece.events
        tune = format_book(piece.events, title="Acceptance", tempo_bpm=model.tempo_bpm)
        reading = abc2midi(tune)
        clean += not reading.complaints
        expected = notes_from(from_start(piece.events))
        agrees = are_the_same(reading.notes, expected)
        same += agrees
        if reading.complaints or not agrees:
            print(tune, *reading.complaints[:3])
            print(f"abc2midi played {len(reading.notes)} notes, Bachbox {len(expected)}")
    if options.keep:
        options.keep.write_text(format_book(events, title="Folk", tempo_bpm=model.tempo_bpm))
    print(
        f"{options.tunes} tunes at temperature {options.temperature}: {clean} without a complaint, "
        f"{same} with the same notes in abc2midi's MIDI, {finished} ended by themselves; "
        f"interventions {composer.interventions}"
    )
    return 0 if clean >= MIN_CLEAN_SHARE * options.tunes and same == options.tunes else 1


if __name__ == "__main__":
    sys.exit(main())
