"""The first sections of ``docs/quality.md``, about whether music can be told from real music."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import mean, pstdev

from appliance.training.evaluate.likeness import COMPOSED_PIECES, SUMMARY, Likeness
from appliance.training.evaluate.model_quality import (
    MAX_GIVEN_UP_SHARE,
    TOLERANCE,
    Choice,
    ModelQuality,
)
from appliance.training.evaluate.two_sample import Auc, Telling, Verdict

TELLING_FEATURES = 8

INTRODUCTION = f"""## Can it be told from Bach?

A classifier two-sample test (Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests", ICLR
2017). Both sides went through the codec and stand on the printed page: no expression, halves that
are played twice written once. {COMPOSED_PIECES} pieces of each model, with its defaults and a
seed that chose nothing, are set against the test pieces and a sample of the training pieces.
Gradient boosting and logistic regression learn from some 200 features of four fifths of the pieces
and are asked about the others. An AUC of 0.5 means that they cannot tell; 1, that they always can.
In brackets: 95 % of bootstraps by piece. *Test pieces alone*: the same predictions of gradient
boosting, judged on the real pieces that no model has seen. An AUC grows with the number of pieces
to learn from; compare only equal numbers.
"""
HEADLINE_HEAD = (
    "| model | music | real pieces | gradient boosting | logistic regression | test pieces alone |"
    "\n|---|---|---|---|---|---|"
)
CONTROLS_INTRODUCTION = """### Controls

The same tests against one half of the real pieces, with as many pieces on the other side for all
rows: the other half; its bars in random order, which destroys all form and leaves the rest; the
model; an n-gram in the same forms and keys. Gradient boosting; logistic regression in brackets.
"""
CONTROLS_HEAD = "| model | other side | pieces | 8 bars | whole pieces |\n|---|---|---|---|---|"
TELLING_HEAD = (
    "| feature | AUC of it alone | real: quartiles | composed: quartiles |\n|---|---|---|---|"
)
FACTS_INTRODUCTION = """## What a listener and a player notice

Real music, then the model's. *Entries*: the first eight notes of the melody are heard, in any voice
and on any degree. *Return*: at least half of a bar's notes are those of a bar four or more before,
in any key. *Home by a cadence*: the last chord is the tonic's, and the bass reaches it from the
supertonic, the subdominant, the dominant or the leading note. *Diversity*: how much the pieces
differ from one another, over how much the real ones do.
"""
SETTINGS_INTRODUCTION = f"""## Temperature and top-p of the models

They are chosen by logistic regression on the *valid* pieces alone, first the temperature, then
top-p: the setting at which 8 bars of the composed pieces are hardest to tell from the valid pieces
(AUC; the judges above have not seen this music, and the regression has not seen the test
pieces). Settings at which the stall detector gives up more than {MAX_GIVEN_UP_SHARE:.0%} of the
pieces are not chosen; among settings within {TOLERANCE:g} of the best, the recipe's stays.
"""


def likeness_sections(qualities: Sequence[ModelQuality]) -> str:
    """The sections in Markdown, without those about the settings."""
    parts = [INTRODUCTION, HEADLINE_HEAD]
    parts += [row for quality in qualities for row in _headline(quality)]
    parts += ["", CONTROLS_INTRODUCTION, CONTROLS_HEAD]
    parts += [row for quality in qualities for row in _controls(quality)]
    for quality in qualities:
        for length, verdict in _tests(quality.likeness):
            parts += [f"\n### What tells: {quality.name}, {length}\n", TELLING_HEAD]
            parts += [_telling(one) for one in verdict.telling[:TELLING_FEATURES]]
    parts += ["", FACTS_INTRODUCTION, *_facts(qualities), ""]
    return "\n".join(parts)


def settings_section(qualities: Sequence[ModelQuality]) -> str:
    """How temperature and top-p were chosen, in Markdown."""
    return "\n".join(
        [SETTINGS_INTRODUCTION, *(setting_section(q.name, q.choice) for q in qualities)]
    )


def setting_section(name: str, choice: Choice) -> str:
    """The AUCs of one model's settings, in Markdown."""
    aucs = choice.auc_by_setting
    temperatures = sorted({setting.temperature for setting in aucs})
    rows = []
    for top_p in sorted({setting.top_p for setting in aucs}):
        cells = []
        for temperature in temperatures:
            setting = next((s for s in aucs if s == (temperature, top_p)), None)
            if setting is None:
                cells.append("")
                continue
            bold = "**" if setting == choice.best_setting else ""
            gives_up = choice.given_up_share[setting] > MAX_GIVEN_UP_SHARE
            cells.append(f"{bold}{aucs[setting]:.3f}{bold}{' (gives up)' if gives_up else ''}")
        rows.append(f"| top-p {top_p:g} | {' | '.join(cells)} |")
    heading = " | ".join(f"T = {temperature:g}" for temperature in temperatures)
    return (
        f"### {name}\n\n| | {heading} |\n|---|{'---|' * len(temperatures)}\n"
        + "\n".join(rows)
        + f"\n\nThe recipe's {choice.verdict}.\n"
    )


def setting_verdict(quality: ModelQuality) -> str:
    """Whether the recipe has the best setting, and the model file the recipe's."""
    text, model = quality.choice.verdict, quality.model_setting
    if model != quality.choice.recipe_setting:
        text += f"; the model file still has {model.temperature:g} and {model.top_p:g}"
    return text


def _tests(likeness: Likeness) -> tuple[tuple[str, Verdict], ...]:
    return ("8 bars", likeness.excerpts), ("whole pieces", likeness.whole)


def _range(auc: Auc) -> str:
    return f"{auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f})"


def _headline(quality: ModelQuality) -> Iterator[str]:
    for length, verdict in _tests(quality.likeness):
        real = f"{verdict.real_pieces}, {quality.likeness.test_pieces} of them test"
        yield (
            f"| {quality.name} | {length} | {real} | **{verdict.boosted.value:.2f}** "
            f"({verdict.boosted.low:.2f} to {verdict.boosted.high:.2f}) "
            f"| {_range(verdict.linear)} | {_range(verdict.boosted_judged)} |"
        )


def _controls(quality: ModelQuality) -> Iterator[str]:
    for control in quality.likeness.controls:
        cells = (
            f"{verdict.boosted.value:.2f} ({verdict.linear.value:.2f})"
            for verdict in (control.excerpts, control.whole)
        )
        yield f"| {quality.name} | {control.name} | {control.pieces} | {' | '.join(cells)} |"


def _telling(one: Telling) -> str:
    cells = (", ".join(f"{cut:.3g}" for cut in side) for side in (one.real, one.composed))
    return f"| {one.name} | {one.auc:.2f} | {' | '.join(cells)} |"


def _facts(qualities: Sequence[ModelQuality]) -> Iterator[str]:
    yield f"| | {' | '.join(quality.name for quality in qualities)} |"
    yield f"|---|{'---|' * len(qualities)}"

    def row(name: str, cells: Sequence[str]) -> str:
        return f"| {name} | {' | '.join(cells)} |"

    for number, name in enumerate(SUMMARY):
        cells = []
        for quality in qualities:
            sides = quality.likeness.real[number], quality.likeness.composed[number]
            cells.append(", ".join(f"{side:.0%}" for side in sides if side is not None))
        yield row(name, cells)
    groups = [(quality.held_out.defects, quality.composed.defects) for quality in qualities]
    yield row(
        "home by a cadence (real: the test pieces)",
        [
            ", ".join(f"{mean(piece.ends_with_cadence for piece in side):.0%}" for side in sides)
            for sides in groups
        ],
    )
    yield row(
        "tempi: standard deviation over mean (the model's alone)",
        [f"{_relative_deviation(quality.long_run.tempos_bpm):.0%}" for quality in qualities],
    )
    yield row("diversity", [f"{quality.likeness.diversity:.2f}" for quality in qualities])


def _relative_deviation(values: Sequence[float]) -> float:
    return pstdev(values) / mean(values) if values else 0.0
