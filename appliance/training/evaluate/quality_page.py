"""The page ``docs/quality.md``: what was measured, in tables."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from statistics import median, quantiles

from appliance.composing.interpreter import runtime
from appliance.training.evaluate.comparison import ALIKE, MAX_GIVEN_UP, Group, Weighed
from appliance.training.evaluate.defects import BAR_BEATS, Judged
from appliance.training.evaluate.sampling_jobs import Music
from appliance.training.evaluate.style_distance import medians


def write(found: Sequence[Weighed], hours: float, pieces: int, seed: int, seconds: float) -> str:
    """The page."""
    return f"""# The music, measured

`make quality` wrote this page in {seconds / 60:.0f} minutes: {hours:g} h of each model's music as
it ships, {pieces} pieces at every other setting (seed {seed}, Python {platform.python_version()},
{runtime()[0]}). *Held out* are the pieces of a model's test set, which it has
never seen: Bach's, but for `folk`.

## Likelihood

Of the held-out pieces under the model file; less is better. From the models' cards:

{_lines(_likelihood(one) for one in found)}

{GRADED}
{_lines(_graded(one) for one in found)}

## Originality

The longest run of notes that a piece shares with the training pieces, in whatever key: all
voices together in order of their onsets, and the melody alone (the soprano, or whatever is
highest). Same intervals, same waits from note to note; median and longest over the pieces.
Hymns and figures wander, so Bach shares runs with himself; more than he does would be copying.

| model | music | all voices: median | longest | melody: median | longest |
|---|---|---|---|---|---|
{_lines(_original(one) for one in found)}

## Ends, lengths, keys

*Given up*: ended by the guard; *late*: a bar or more beyond its form. A piece *closes at home* on
its tonic's chord, and *by a cadence* where the bass comes from where it should.

| model | music | pieces | given up | late | at home | by a cadence | beats: quartiles | in minor |
|---|---|---|---|---|---|---|---|---|
{_lines(_ends(one) for one in found)}

## The whole knob

The longest of each, in bars of four beats; *repeated* is the share of notes that end a run of
eight which the piece has had before; *cures* are what the guard counted.

| model | T | pieces | frozen chord | note | loop | repeated | given up | at home | cures |
|---|---|---|---|---|---|---|---|---|---|
{_lines(_knob(one) for one in found)}

![How far the music strays by temperature, what is frozen, and how long the pieces are](quality.png)

## The models' own temperature and top-p

Chosen on the *valid* pieces alone: how far the music is from them, every feature's distances set
against set (`strayed` in `appliance/training/evaluate/style_distance.py`). Music that is more average than Bach
strays as well as music that is wilder. Of the settings at which the guard gives up no more than
{MAX_GIVEN_UP:.0%} of the pieces the nearest is to be the model's; those within
{ALIKE - 1:.0%} of it are as good, and then the recipe's stays.

{_lines(_choice(one) for one in found)}

## Promises

Of {hours:g} h as it ships:

| promise | {" | ".join(one.name for one in found)} |
|---|{"---|" * len(found)}
{_lines(_promises(found))}
"""


def verdict(one: Weighed) -> str:
    """Whether the recipe says what it should, and the model file what the recipe says."""
    has, wants = one.recipe, one.chosen
    said = f"temperature {has.temperature:g} and top-p {has.top_p:g}"
    said += (
        " are right" if has == wants else f" should be {wants.temperature:g} and {wants.top_p:g}"
    )
    if one.setting != has:
        said += f"; the model file says {one.setting.temperature:g} and {one.setting.top_p:g} yet"
    return said


def _lines(of: Iterable[str]) -> str:
    return "\n".join(of)


def _likelihood(one: Weighed) -> str:
    measured = one.model.card.partition("## Measured")[2]
    figures = [line[2:] for line in measured.splitlines() if line.startswith("- ")]
    return f"- **{one.name}**: {'; '.join(figures) or 'not measured yet'}"


HELD_OUT = "held out"
GRADED = """## Like Bach

The grade of *Bach or Mock* (Fang, Liu, Seetharaman and Pardo 2020): the sum of a piece's
distances from the training pieces, feature by feature; of chorales less is better. The paper
gives 4.91 as the median of Bach's. Other models are measured in the same way by features that
fit their music; there a low grade is no praise, because each of Bach's movements keeps to figures
of its own, and whoever mixes them all is nearer to the average. What counts everywhere is *set
against set*: how far the distances of many pieces are from those of as many of Bach's. The n-gram
is plain: it fills the same forms, and is forbidden what the network is."""


def _graded(one: Weighed) -> str:
    groups = {HELD_OUT: one.bach, one.name: one.ours, "an n-gram": one.ngram}
    names = list(one.bach.distances[0])
    rows = []
    for who, group in groups.items():
        of = medians(group.distances)
        cells = " | ".join(f"{of[name]:.2f}" for name in names)
        rows.append(f"| {who} | {cells} | **{median(group.grades):.2f}** |")
    strays = one.test_strays
    return f"""
### {one.name}

| median of | {" | ".join(names)} | **grade** |
|---|{"---|" * len(names)}---|
{_lines(rows)}

Set against set, the test pieces are **{strays["ours"]:.2f}** from the model's,
{strays["valid"]:.2f} from other pieces held out, {strays["n-gram"]:.2f} from the n-gram's. The
better grade of two, where one is held out, is the model's in {one.taken_for_bach:.0%} (50 % is
even)."""


def _original(one: Weighed) -> str:
    return _lines(
        f"| {one.name} | {who} | {median(group.runs):.0f} | {max(group.runs)} "
        f"| {median(group.melodies):.0f} | {max(group.melodies)} |"
        for who, group in _groups(one)
    )


def _groups(one: Weighed) -> list[tuple[str, Group]]:
    return [(HELD_OUT, one.bach), ("the model", one.ours), ("an n-gram", one.ngram)]


def _ends(one: Weighed) -> str:
    report = one.day.report
    number = max(1, len(report.pieces))
    ours = f"{report.given_up / number:.1%} | {report.late / number:.1%}"
    return _lines(
        f"| {one.name} | {who} | {len(group.judged)} | {ended} | {_share(group.judged, 'at_home')} "
        f"| {_share(group.judged, 'by_cadence')} | {_quartiles(group.judged)} | {group.minor:.0%} |"
        for who, group, ended in (
            (HELD_OUT, one.bach, " | "),
            ("the model", one.ours, ours),
        )
    )


def _share(pieces: Sequence[Judged], what: str) -> str:
    return f"{sum(getattr(piece, what) for piece in pieces) / max(1, len(pieces)):.0%}"


def _quartiles(pieces: Sequence[Judged]) -> str:
    beats = [piece.beats for piece in pieces]
    cuts = quantiles(beats, n=4, method="inclusive") if len(beats) > 1 else beats * 3
    return ", ".join(f"{cut:.0f}" for cut in cuts)


def _knob(one: Weighed) -> str:
    shipped = (
        f"**{one.setting.temperature:g}**, {one.day.report.beats / 60 / one.model.tempo_bpm:.1f} h"
    )
    rows = [_knob_row(one.name, shipped, one.day)]
    rows += [_knob_row(one.name, f"{m.setting.temperature:g}", m) for m in one.knob]
    corpus = [
        f"{max(getattr(piece, what) for piece in one.corpus) / BAR_BEATS:.2f}"
        for what in ("frozen_beats", "held_beats", "loop_beats")
    ]
    rows.append(
        f"| {one.name} | *training pieces* | {len(one.corpus)} | {' | '.join(corpus)} "
        f"| {_share(one.corpus, 'repeated')} | | {_share(one.corpus, 'at_home')} | |"
    )
    return _lines(rows)


def _knob_row(name: str, setting: str, music: Music) -> str:
    report = music.report
    longest = [
        f"{report.worst(what) / BAR_BEATS:.2f}"
        for what in ("frozen_beats", "held_beats", "loop_beats")
    ]
    cures = ", ".join(f"{what} {n}" for what, n in music.cures.items() if n) or "none"
    return (
        f"| {name} | {setting} | {len(report.pieces)} | {' | '.join(longest)} "
        f"| {report.share('repeated'):.0%} | {report.given_up} | {report.share('at_home'):.0%} "
        f"| {cures} |"
    )


def _choice(one: Weighed) -> str:
    temperatures = sorted({setting.temperature for setting in one.strays})
    head = " | ".join(f"T = {t:g}" for t in temperatures)
    rows = []
    for top_p in sorted({setting.top_p for setting in one.strays}):
        cells = []
        for t in temperatures:
            setting = next(s for s in one.strays if s == (t, top_p))
            mark = "**" if setting == one.chosen else ""
            gave_up = " (gives up)" if one.given_up[setting] > MAX_GIVEN_UP else ""
            cells.append(f"{mark}{one.strays[setting]:.2f}{mark}{gave_up}")
        rows.append(f"| top-p {top_p:g} | {' | '.join(cells)} |")
    return (
        f"### {one.name}\n\n| | {head} |\n|---|{'---|' * len(temperatures)}\n"
        + _lines(rows)
        + f"\n\nThe training pieces are {one.floor:.2f} from the valid ones. The recipe's "
        f"{verdict(one)}.\n"
    )


def _promises(found: Sequence[Weighed]) -> Iterable[str]:
    for n in range(len(found[0].promises)):
        names = [list(one.promises)[n] for one in found]
        kept = [
            "yes" if one.promises[name] else "**no**"
            for one, name in zip(found, names, strict=True)
        ]
        plain = names[0].partition(" (")[0]
        # A limit that differs by model stands in the cell.
        if len(set(names)) > 1:
            kept = [f"{k} ({n.partition(' (')[2]}" for k, n in zip(kept, names, strict=True)]
            yield f"| {plain} | {' | '.join(kept)} |"
        else:
            yield f"| {names[0]} | {' | '.join(kept)} |"
