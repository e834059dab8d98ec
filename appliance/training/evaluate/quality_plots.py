"""The picture ``docs/quality.png``: one column for each model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

from appliance.training.evaluate.defects import BAR_BEATS
from appliance.training.evaluate.model_quality import TOLERANCE, ModelQuality

mpl.use("Agg")
from matplotlib import pyplot as plt

MODEL_COLOUR, BACH_COLOUR, NGRAM_COLOUR = "#d1495b", "#2e4057", "#b0b0b0"


def draw(qualities: Sequence[ModelQuality], path: Path) -> None:
    """Draw AUCs by setting, longest defects by temperature, grades and lengths into a PNG.

    Raises:
        OSError: the file cannot be written.
    """
    columns = len(qualities)
    figure, axes = plt.subplots(
        4, columns, figsize=(3.6 * columns + 1, 11), layout="constrained", squeeze=False
    )
    for column, quality in enumerate(qualities):
        _draw_aucs(axes[0][column], quality)
        _draw_longest_defects(axes[1][column], quality)
        _draw_grades(axes[2][column], quality)
        _draw_lengths(axes[3][column], quality)
        axes[0][column].set_title(quality.name, fontweight="bold")
    figure.savefig(path, dpi=75)
    plt.close(figure)


def _draw_aucs(axes: plt.Axes, quality: ModelQuality) -> None:
    aucs, recipe = quality.choice.auc_by_setting, quality.choice.recipe_setting
    for top_p in sorted({setting.top_p for setting in aucs}):
        points = sorted((s.temperature, auc) for s, auc in aucs.items() if s.top_p == top_p)
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=f"top-p {top_p:g}")
    axes.axhspan(0, TOLERANCE + min(aucs.values()), color="#eeeeee")
    if recipe in aucs:
        axes.plot(recipe.temperature, aucs[recipe], "k*", markersize=10)
    axes.set(xlabel="temperature", ylabel="AUC on the valid pieces, 8 bars")
    axes.set_ylim(0.5, 1)
    axes.legend(fontsize="x-small")


def _draw_longest_defects(axes: plt.Axes, quality: ModelQuality) -> None:
    temperatures = [run.setting.temperature for run in quality.temperature_sweep]
    for attribute, label in (
        ("frozen_beats", "frozen chord"),
        ("loop_beats", "loop"),
        ("held_beats", "note"),
    ):
        bars = [run.report.worst(attribute) / BAR_BEATS for run in quality.temperature_sweep]
        axes.plot(temperatures, bars, marker="o", markersize=3, label=label)
    axes.axhline(4, color="grey", linestyle=":", linewidth=1)
    axes.set(xlabel="temperature", ylabel="longest, in bars")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="x-small")


def _draw_grades(axes: plt.Axes, quality: ModelQuality) -> None:
    boxes = axes.boxplot(
        [quality.held_out.grades, quality.composed.grades, quality.ngram.grades],
        showfliers=False,
        patch_artist=True,
        medianprops={"color": "black"},
    )
    colours = (BACH_COLOUR, MODEL_COLOUR, NGRAM_COLOUR)
    for box, colour in zip(boxes["boxes"], colours, strict=True):
        box.set_facecolor(colour)
        box.set_alpha(0.6)
    axes.set_xticks([1, 2, 3], ["held out", "model", "n-gram"])
    axes.set(ylabel="grade")
    axes.set_ylim(bottom=0)


def _draw_lengths(axes: plt.Axes, quality: ModelQuality) -> None:
    lengths = {
        "training pieces": ([piece.beats for piece in quality.training_defects], BACH_COLOUR),
        "model": ([piece.beats for piece in quality.composed.defects], MODEL_COLOUR),
    }
    longest = max(max(beats) for beats, _ in lengths.values())
    bins = [longest * n / 24 for n in range(25)]
    for label, (beats, colour) in lengths.items():
        axes.hist(beats, bins=bins, density=True, alpha=0.6, color=colour, label=label)
    axes.set(xlabel="beats per piece", yticks=[])
    axes.legend(fontsize="x-small")
