"""The page ``docs/quality.md``: what was measured, in tables."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from typing import NamedTuple

from appliance.composing.interpreter import runtime
from appliance.training.convert.model_card import figures_in_card
from appliance.training.evaluate.defects import BAR_BEATS, Defects
from appliance.training.evaluate.likeness import COMPOSED_PIECES
from appliance.training.evaluate.likeness_page import likeness_sections, settings_section
from appliance.training.evaluate.model_quality import ModelQuality, PieceGroup
from appliance.training.evaluate.sampling_jobs import ComposedMusic
from appliance.training.evaluate.style_distance import medians

HELD_OUT = "held out"
LENGTH_DEFECTS = ("frozen_beats", "held_beats", "loop_beats")
GRADES_TEXT = """## The grades of Bach or Mock

The grade is that of *Bach or Mock* (Fang, Liu, Seetharaman and Pardo 2020): the sum of a piece's
distances from the training pieces over all features. For chorales, less is better; the paper gives
4.91 as the median of Bach's. The other models are graded in the same way, with features that fit
their music. There a low grade is not a merit in itself: each of Bach's movements keeps to its own
figures, and a mixture of them all is nearer to the average. The grade sums distances of histograms
that know nothing of one another, so it chooses nothing here; the tests above decide.
"""

ENDINGS_HEAD = (
    "| model | music | pieces | given up | overlong | on the tonic | with a cadence "
    "| beats: quartiles | in minor |\n|---|---|---|---|---|---|---|---|---|"
)
SWEEP_HEAD = (
    "| model | T | pieces | frozen chord | note | loop | repeated | given up | on the tonic "
    "| interventions |\n|---|---|---|---|---|---|---|---|---|---|"
)


class Conditions(NamedTuple):
    """How a page was measured: see the options of ``make quality``."""

    choice_pieces: int
    sweep_pieces: int
    seed: int
    minutes: float
    cpu_minutes: float


def render_page(qualities: Sequence[ModelQuality], conditions: Conditions) -> str:
    """The page in Markdown.

    Raises:
        BachboxError: no runtime is installed.
    """
    choice_pieces, sweep_pieces, seed, minutes, cpu_minutes = conditions
    return f"""# The quality of the music

`make quality` wrote this page in {minutes:.0f} minutes ({cpu_minutes:.0f} core-minutes, without
what an earlier run had left in `build/quality`), from {COMPOSED_PIECES} pieces of each model with
its defaults (seed {seed + 1}), {choice_pieces} at each setting from which its own is chosen, and
{sweep_pieces} per temperature (seed {seed}; Python {platform.python_version()}, {runtime()[0]}).
*Held out* are the test pieces of a model, which it has never seen; they are Bach's, except for
`folk`, where "Bach" stands for the tunes of its corpus.

{likeness_sections(qualities)}
## Originality

The longest run of notes that a piece has in common with the training pieces, in any key: with all
voices in the order of their onsets, and in the melody alone (the soprano, or the highest notes).
Runs are the same if all intervals and all times between onsets are. The table has the median and
the maximum over the pieces. Bach shares runs with himself, because hymns and figures wander from
piece to piece; a model that shares more than he does would be copying.

| model | music | all voices: median | maximum | melody: median | maximum |
|---|---|---|---|---|---|
{_lines(_originality(quality) for quality in qualities)}

## Endings, lengths and keys

*Given up*: the stall detector ended the piece. *Overlong*: it ended a bar or more after its form.
*On the tonic*: the last chord is the tonic's; *with a cadence*: and the bass reaches it from the
supertonic, the subdominant, the dominant or the leading note.

{ENDINGS_HEAD}
{_lines(_endings(quality) for quality in qualities)}

{settings_section(qualities)}
## All temperatures

The longest frozen chord, note and loop, in bars of four beats. *Repeated* is the share of notes
that complete a run of eight which the piece had before. *Interventions* are those of the stall
detector.

{SWEEP_HEAD}
{_lines(_sweep(quality) for quality in qualities)}

![AUC on the valid pieces by temperature, longest defects, grades, lengths](quality.png)

## Guarantees

In the {COMPOSED_PIECES} pieces of each model with its defaults:

| guarantee | {" | ".join(quality.name for quality in qualities)} |
|---|{"---|" * len(qualities)}
{_lines(_guarantees(qualities))}

## Likelihood

The negative log-likelihood of the held-out pieces under the model; less is better. From the cards
of the models:

{_lines(_likelihood(quality) for quality in qualities)}

{GRADES_TEXT}{_lines(_grades(quality) for quality in qualities)}
"""


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines)


def _likelihood(quality: ModelQuality) -> str:
    figures = figures_in_card(quality.model.card)
    return f"- **{quality.name}**: {'; '.join(figures) or 'not evaluated yet'}"


def _groups(quality: ModelQuality) -> list[tuple[str, PieceGroup]]:
    return [
        (HELD_OUT, quality.held_out),
        ("the model", quality.composed),
        ("an n-gram", quality.ngram),
    ]


def _grades(quality: ModelQuality) -> str:
    names = list(quality.held_out.distances[0])
    rows = []
    for music, group in _groups(quality):
        medians_of_group = medians(group.distances)
        cells = " | ".join(f"{medians_of_group[name]:.2f}" for name in names)
        rows.append(f"| {music} | {cells} | **{median(group.grades):.2f}** |")
    return f"""
### {quality.name}

| median of | {" | ".join(names)} | **grade** |
|---|{"---|" * len(names)}---|
{_lines(rows)}

Of all pairs of a piece by the model and a held-out one, the model's has the better grade
in {quality.preferred_over_held_out:.0%} (50% is even)."""


def _originality(quality: ModelQuality) -> str:
    return _lines(
        f"| {quality.name} | {music} "
        f"| {median(group.shared_runs):.0f} | {max(group.shared_runs)} "
        f"| {median(group.shared_melodies):.0f} | {max(group.shared_melodies)} |"
        for music, group in _groups(quality)
    )


def _endings(quality: ModelQuality) -> str:
    report = quality.long_run.report
    count = max(1, len(report.pieces))
    composed = f"{report.given_up / count:.1%} | {report.overlong / count:.1%}"
    return _lines(
        f"| {quality.name} | {music} | {len(group.defects)} | {ended} "
        f"| {_share(group.defects, 'ends_on_tonic')} "
        f"| {_share(group.defects, 'ends_with_cadence')} "
        f"| {_quartiles(group.defects)} | {group.minor_share:.0%} |"
        for music, group, ended in (
            (HELD_OUT, quality.held_out, " | "),
            ("the model", quality.composed, composed),
        )
    )


def _share(pieces: Sequence[Defects], attribute: str) -> str:
    return f"{sum(getattr(piece, attribute) for piece in pieces) / max(1, len(pieces)):.0%}"


def _quartiles(pieces: Sequence[Defects]) -> str:
    beats = [piece.beats for piece in pieces]
    cuts = quantiles(beats, n=4, method="inclusive") if len(beats) > 1 else beats * 3
    return ", ".join(f"{cut:.0f}" for cut in cuts)


def _sweep(quality: ModelQuality) -> str:
    long_run, training = quality.long_run, quality.training_defects
    hours = long_run.report.beats / 60 / quality.model.tempo_bpm
    defaults = f"**{long_run.setting.temperature:g}**, {hours:.1f} h"
    rows = [_sweep_row(quality.name, defaults, long_run)]
    rows += [
        _sweep_row(quality.name, f"{run.setting.temperature:g}", run)
        for run in quality.temperature_sweep
    ]
    longest = [
        f"{max(getattr(piece, attribute) for piece in training) / BAR_BEATS:.2f}"
        for attribute in LENGTH_DEFECTS
    ]
    rows.append(
        f"| {quality.name} | *training pieces* | {len(training)} | {' | '.join(longest)} "
        f"| {_share(training, 'repeated')} | | {_share(training, 'ends_on_tonic')} | |"
    )
    return _lines(rows)


def _sweep_row(name: str, setting: str, run: ComposedMusic) -> str:
    report = run.report
    longest = [f"{report.worst(attribute) / BAR_BEATS:.2f}" for attribute in LENGTH_DEFECTS]
    interventions = [f"{stall} {count}" for stall, count in run.interventions.items() if count]
    return (
        f"| {name} | {setting} | {len(report.pieces)} | {' | '.join(longest)} "
        f"| {report.mean('repeated'):.0%} | {report.given_up} | {report.mean('ends_on_tonic'):.0%} "
        f"| {', '.join(interventions) or 'none'} |"
    )


def _guarantees(qualities: Sequence[ModelQuality]) -> Iterable[str]:
    """The rows of the table; a limit that differs between the models is in their cells."""
    for number in range(len(qualities[0].guarantees)):
        names = [list(quality.guarantees)[number] for quality in qualities]
        cells = [
            "yes" if quality.guarantees[name] else "**no**"
            for quality, name in zip(qualities, names, strict=True)
        ]
        if len(set(names)) == 1:
            yield f"| {names[0]} | {' | '.join(cells)} |"
        else:
            limits = [name.partition(" (")[2] for name in names]
            cells = [f"{cell} ({limit}" for cell, limit in zip(cells, limits, strict=True)]
            yield f"| {names[0].partition(' (')[0]} | {' | '.join(cells)} |"
