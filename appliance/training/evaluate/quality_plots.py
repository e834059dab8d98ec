"""The picture ``docs/quality.png``: a column a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from appliance.training.evaluate.comparison import ALIKE, Weighed
from appliance.training.evaluate.defects import BAR_BEATS

mpl.use("Agg")
from matplotlib import pyplot as plt

OURS, THEIRS, COUNTED = "#d1495b", "#2e4057", "#b0b0b0"


def draw(found: Sequence[Weighed], path: Path) -> None:
    """Straying by setting, the longest of everything by temperature, grades, lengths."""
    figure, axes = plt.subplots(
        4, len(found), figsize=(3.6 * len(found) + 1, 11), layout="constrained", squeeze=False
    )
    for column, one in enumerate(found):
        _strays(axes[0][column], one)
        _longest(axes[1][column], one)
        _grades(axes[2][column], one)
        _lengths(axes[3][column], one)
        axes[0][column].set_title(one.name, fontweight="bold")
    figure.savefig(path, dpi=75)
    plt.close(figure)


def _strays(axes: plt.Axes, one: Weighed) -> None:
    for top_p in sorted({setting.top_p for setting in one.strays}):
        points = sorted((s.temperature, d) for s, d in one.strays.items() if s.top_p == top_p)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=f"top-p {top_p:g}")
    axes.axhspan(0, ALIKE * min(one.strays.values()), color="#eeeeee")
    if one.recipe in one.strays:
        axes.plot(one.recipe.temperature, one.strays[one.recipe], "k*", markersize=10)
    axes.set(xlabel="temperature", ylabel="from the valid pieces")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")


def _longest(axes: plt.Axes, one: Weighed) -> None:
    at = [music.setting.temperature for music in one.knob]
    for what, label in (
        ("frozen_beats", "frozen chord"),
        ("loop_beats", "loop"),
        ("held_beats", "one note"),
    ):
        longest = [music.report.worst(what) / BAR_BEATS for music in one.knob]
        axes.plot(at, longest, marker="o", markersize=3, label=label)
    axes.axhline(4, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="temperature", ylabel="the longest, bars")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")


def _grades(axes: plt.Axes, one: Weighed) -> None:
    boxes = axes.boxplot(
        [one.bach.grades, one.ours.grades, one.ngram.grades],
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "black"},
    )
    for box, colour in zip(boxes["boxes"], (THEIRS, OURS, COUNTED), strict=True):
        box.set_facecolor(colour)
        box.set_alpha(0.6)
    axes.set_xticks([1, 2, 3], ["held out", "model", "n-gram"])
    axes.set(ylabel="grade")
    axes.set_ylim(bottom=0)


def _lengths(axes: plt.Axes, one: Weighed) -> None:
    lengths = {
        "training pieces": ([piece.beats for piece in one.corpus], THEIRS),
        "model": ([piece.beats for piece in one.ours.judged], OURS),
    }
    longest = max(beats for some, _ in lengths.values() for beats in some)
    bins = [longest * n / 24 for n in range(25)]
    for label, (beats, colour) in lengths.items():
        axes.hist(beats, bins=bins, density=True, alpha=0.6, color=colour, label=label)
    axes.set(xlabel="beats in a piece", yticks=[])
    axes.legend(fontsize="x-small")
