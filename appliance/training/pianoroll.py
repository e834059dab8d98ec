"""``python -m appliance.training.pianoroll OUT.png``: what the composer writes, as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl

from appliance.music import bundle
from appliance.music.composer import Composer
from appliance.music.notes import TICKS_PER_BEAT, Kind, Piece, piece_of
from appliance.music.score import Key

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057")
NAMES = ("soprano", "alto", "tenor", "bass")


def main() -> None:
    """Draw the first piece of a seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=Path("models/chorales.tflite"))
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    model = bundle.load(asked.model)
    composer = Composer(model, seed=asked.seed)
    about = Piece(0, 0, False, 4, 0, 0)
    begun: dict[int, tuple[int, int]] = {}
    figure, axes = plt.subplots(figsize=(12, 4), layout="constrained")
    while composer.counts.pieces < 2:
        for event in composer.step():
            if event.kind == Kind.PIECE and event.value == 1:
                about = piece_of(event)
            elif event.kind == Kind.NOTE_OFF:
                start, pitch = begun.pop(event.voice)
                left, width = start / TICKS_PER_BEAT, (event.tick - start) / TICKS_PER_BEAT
                axes.barh(pitch, width - 0.04, left=left, height=0.8, color=COLOURS[event.voice])
            elif event.kind == Kind.NOTE_ON:
                begun[event.voice] = (event.tick, event.pitch)
    beats = composer.piece.start_tick / TICKS_PER_BEAT
    first = about.pickup_ticks / TICKS_PER_BEAT
    bars = [first + n * about.beats_per_bar for n in range(int(beats // about.beats_per_bar) + 1)]
    axes.set_xticks(bars, [str(n + 1) for n in range(len(bars))])
    axes.set_yticks([36, 48, 60, 72], ["C2", "C3", "C4", "C5"])
    axes.set(xlim=(0, beats), xlabel="bar", title=f"{Key(about.tonic, about.minor)}")
    axes.grid(axis="x", alpha=0.4)
    axes.set_axisbelow(True)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS]
    figure.legend(handles, NAMES, ncols=4, loc="outside lower center", fontsize="small")
    figure.savefig(asked.out, dpi=100)


if __name__ == "__main__":
    main()
