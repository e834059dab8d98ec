"""Piano rolls as pictures: pitch over time, one colour a voice, with bar lines and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

from appliance.music.events import TICKS_PER_BEAT, TICKS_PER_STEP
from appliance.training.evaluate.finished_pieces import FinishedPiece

mpl.use("Agg")
from matplotlib import pyplot as plt

VOICE_COLOURS = ("#d1495b", "#edae49", "#66a182", "#2e4057", "#8d6a9f", "#4f9dd0")
"""From the highest voice down."""
GAP_BEATS = 0.06
"""White space after each note."""


@dataclass
class PianoRoll:
    """Whole pieces, one after the other.

    Attributes:
        title: above the roll.
        pieces: in order.
        start_beats: the beat at which each piece starts.
    """

    title: str
    pieces: list[FinishedPiece]
    start_beats: list[float]

    @property
    def beats(self) -> float:
        """The length of all pieces together."""
        return self.start_beats[-1] + self.pieces[-1].ticks / TICKS_PER_BEAT


def draw(
    rolls: Sequence[PianoRoll],
    path: Path,
    *,
    max_beats: float,
    dpi: int,
    row_inches: float = 3.2,
    same_scale: bool = False,
) -> None:
    """Draw piano rolls, one below the other, into a PNG.

    Args:
        rolls: with a note each at least.
        path: of the PNG.
        max_beats: where the rolls are cut off.
        dpi: pixels an inch; the picture is 12 inches wide.
        row_inches: the height of a roll.
        same_scale: whether all are ``max_beats`` long and show the same pitches.

    Raises:
        OSError: the file cannot be written.
    """
    figure, rows = plt.subplots(
        len(rolls), 1, figsize=(12, row_inches * len(rolls)), layout="constrained", squeeze=False
    )
    for axes, roll in zip(rows[:, 0], rolls, strict=True):
        _draw_roll(axes, roll, max_beats if same_scale else min(max_beats, roll.beats))
    if same_scale:
        limits = [axes.get_ylim() for axes in rows[:, 0]]
        for axes in rows[:, 0]:
            axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))
    figure.savefig(path, dpi=dpi)
    plt.close(figure)


def _draw_roll(axes: plt.Axes, roll: PianoRoll, beats: float) -> None:
    pitches: list[int] = []
    bar_lines: list[float] = []
    for piece, start in zip(roll.pieces, roll.start_beats, strict=True):
        for note in piece.notes:
            left, width = start + note.start / TICKS_PER_BEAT, note.length / TICKS_PER_BEAT
            if left < beats:
                pitches.append(note.pitch)
                colour = VOICE_COLOURS[note.voice % len(VOICE_COLOURS)]
                axes.barh(note.pitch, width - GAP_BEATS, left=left, height=0.85, color=colour)
        bar = piece.form.bar_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        first_bar_line = start + piece.form.pickup_steps * TICKS_PER_STEP / TICKS_PER_BEAT
        end = start + piece.ticks / TICKS_PER_BEAT
        bar_count = int((end - first_bar_line) / bar) + 1
        bar_lines += [first_bar_line + n * bar for n in range(bar_count)]
        if start < beats:
            axes.text(start, max(pitches) + 2.5, f" {piece.key}", fontsize="small", va="bottom")
            axes.axvline(start, color="black", linewidth=1)
    low, high = min(pitches), max(pitches)
    axes.vlines(bar_lines, low - 1, high + 1, color="#cccccc", linewidth=0.6, zorder=0)
    octaves = range(-(-low // 12) * 12, high + 1, 12)
    axes.set_yticks(list(octaves), [f"C{pitch // 12 - 1}" for pitch in octaves])
    axes.set(xlim=(-0.5, beats), ylim=(low - 2, high + 7), title=roll.title)
    axes.set_xticks([])
