"""Tunes of the folk model as another program reads them: ``python -m tests.acceptance.folk_tunes 200``.

Every tune is given to abc2midi, which must read it without an error or a warning and play the same
notes as Bachbox, repeats included.
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

MIN_CLEAN = 0.95


def main() -> int:
    """Return 0 if enough tunes are read without a complaint and all have the same notes."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.acceptance.folk_tunes", description=__doc__
    )
    parser.add_argument("tunes", type=int)
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=MODELS / "folk.tflite")
    parser.add_argument("--keep", type=Path, help="write all tunes into this file")
    asked = parser.parse_args()
    composer = Composer(
        model_file.load(asked.model), seed=asked.seed, temperature=asked.temperature
    )
    clean = same = finished = 0
    everything: list[Event] = []
    for piece in compose_pieces(composer, asked.tunes):
        finished += not piece.given_up
        everything += piece.events
        tune = format_book(
            piece.events, title="Acceptance", tempo_bpm=composer.model_file.tempo_bpm
        )
        heard = abc2midi(tune)
        clean += not heard.complaints
        ours = notes_from(from_start(piece.events))
        agree = are_the_same(heard.notes, ours)
        same += agree
        if heard.complaints or not agree:
            print(tune, *heard.complaints[:3], f"{len(heard.notes)} notes, {len(ours)} of ours")
    if asked.keep:
        asked.keep.write_text(
            format_book(everything, title="Folk", tempo_bpm=composer.model_file.tempo_bpm)
        )
    print(
        f"{asked.tunes} tunes at temperature {asked.temperature}: {clean} without a complaint, "
        f"{same} the same notes in abc2midi's MIDI, {finished} ended by themselves; "
        f"interventions {composer.interventions}"
    )
    return 0 if clean >= MIN_CLEAN * asked.tunes and same == asked.tunes else 1


if __name__ == "__main__":
    sys.exit(main())
