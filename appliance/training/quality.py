"""``python -m appliance.training.quality``: a day of music, listened to, in figures and a plot."""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from tqdm import tqdm

from appliance.music import bundle
from appliance.music.composer import Composer
from appliance.music.expression import BREATH_TICKS
from appliance.music.interpreter import runtime
from appliance.music.notes import TICKS_PER_BEAT
from appliance.music.score import Key
from appliance.training.listen import Listener, Report

mpl.use("Agg")
from matplotlib import pyplot as plt

TEMPERATURES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.5, 2.0, 3.0)
BAR_BEATS = 4


@dataclass
class Day:
    """What one composer did."""

    report: Report
    cures: dict[str, int]
    memory_mib: list[float]
    """Peak resident memory after every twentieth of the time."""
    seconds: float


def listen(model: bundle.Bundle, hours: float, seed: int, temperature: float | None) -> Day:
    """Compose so many hours of music at the model's tempo, and listen to all of it."""
    composer, listener = Composer(model, seed=seed, temperature=temperature), Listener()
    beats = hours * 60 * model.tempo_bpm
    memory: list[float] = []
    began = time.monotonic()
    label = f"{hours:g} h at {composer.temperature:g}"
    with tqdm(total=round(beats), unit="beat", desc=label) as bar:
        while composer.tick < beats * TICKS_PER_BEAT:
            tick = composer.tick
            listener.hear(tick, composer.step(), composer.tick)
            if composer.tick >= len(memory) * beats * TICKS_PER_BEAT / 20:
                memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
                bar.update(round(composer.tick / TICKS_PER_BEAT) - bar.n)
    return Day(listener.report, composer.cures, memory, time.monotonic() - began)


def row(name: str, day: Day) -> str:
    """A row of the table."""
    r, pieces = day.report, len(day.report.pieces)
    tonic = sum(p.closes_on_tonic for p in r.pieces) / max(1, pieces)
    cadence = sum(p.authentic for p in r.pieces) / max(1, pieces)
    cures = ", ".join(f"{k} {v}" for k, v in day.cures.items() if v) or "none"
    return (
        f"| {name} | {pieces} | {r.frozen_beats / BAR_BEATS:.2f} | {r.silent_beats:.2f} "
        f"| {r.held_beats / BAR_BEATS:.2f} | {r.loop_beats / BAR_BEATS:.2f} | {r.unmatched} "
        f"| {tonic:.1%} | {cadence:.1%} | {cures} |"
    )


HEAD = """\
| music | pieces | longest frozen chord, bars | longest silence, beats | longest note, bars \
| longest loop, bars | unmatched notes | close on the tonic | by a cadence | cures |
|---|---|---|---|---|---|---|---|---|---|"""


def plot(day: Day, by_temperature: dict[float, Day], path: Path) -> None:
    """Lengths, keys, memory, and the longest frozen chord by temperature."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    pieces = day.report.pieces
    axes[0, 0].hist([p.beats / BAR_BEATS for p in pieces], bins=30, color="#3b6ea5")
    axes[0, 0].set(title="Length of the pieces", xlabel="bars of four beats", ylabel="pieces")
    keys = Counter(str(Key(p.piece.tonic, p.piece.minor)) for p in pieces).most_common()
    axes[0, 1].bar([k.replace(" ", "\n") for k, _ in keys], [n for _, n in keys], color="#8b5a2b")
    axes[0, 1].tick_params(axis="x", labelsize=5)
    axes[0, 1].set(title="Keys", ylabel="pieces")
    hours = [n * day.report.beats / 80 / 60 / 20 for n in range(len(day.memory_mib))]
    axes[1, 0].plot(hours, day.memory_mib, color="#2e7d32", marker=".")
    axes[1, 0].set(title="Peak resident memory", xlabel="hours of music", ylabel="MiB")
    axes[1, 0].set_ylim(bottom=0)
    for name, values in {
        "frozen chord": [d.report.frozen_beats for d in by_temperature.values()],
        "loop": [d.report.loop_beats for d in by_temperature.values()],
        "one note": [d.report.held_beats for d in by_temperature.values()],
    }.items():
        axes[1, 1].plot(
            list(by_temperature), [v / BAR_BEATS for v in values], marker="o", label=name
        )
    axes[1, 1].axhline(4, color="grey", linestyle=":", linewidth=1)
    axes[1, 1].set(title="The longest, by temperature", xlabel="temperature", ylabel="bars")
    axes[1, 1].legend()
    figure.savefig(path, dpi=110)


def main() -> int:
    """Compose, listen, write ``quality.md`` and ``quality.png``; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("models/chorales.tflite"))
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    asked = parser.parse_args()
    model = bundle.load(asked.model)
    day = listen(model, asked.hours, asked.seed, None)
    knob = {t: listen(model, asked.hours / 24, asked.seed, t) for t in TEMPERATURES}
    plot(day, knob, asked.out / "quality.png")
    report = day.report
    again = sum(count - 1 for count in report.openings.values())
    promises = {
        "no chord frozen beyond 4 bars": report.frozen_beats <= 4 * BAR_BEATS,
        "no silence beyond the breath": report.silent_beats * TICKS_PER_BEAT <= BREATH_TICKS,
        "no stuck note": report.unmatched == 0 and report.held_beats <= 8 * BAR_BEATS,
        "no loop": report.loop_beats <= 4 * BAR_BEATS and not again,
        "memory flat": day.memory_mib[-1] <= day.memory_mib[1] * 1.05,
    }
    (asked.out / "quality.md").write_text(
        f"""# A day of music, listened to

`make quality` composed {asked.hours:g} hours of music with the model `{model.name}` (seed
{asked.seed}, temperature {model.temperature:g}, top-p {model.top_p:g},
{model.tempo_bpm:g} BPM, Python {platform.python_version()}, {runtime()[0]}) in
{day.seconds:.0f} s, and a listener that knows nothing of the composer's guard measured it all:
{report.notes} notes in {len(report.pieces)} pieces, of which {again} opened with the same four
bars as another. Below it, {asked.hours / 24:g} h at each temperature of the knob.

{HEAD}
{row(f"{asked.hours:g} h", day)}
{chr(10).join(row(f"T = {t:g}", d) for t, d in knob.items())}

A *loop* is music that equals the music at most two bars before it; *cures* are what the guard
counted (it adds heat when a chord stands for 1.5 bars, and begins another piece when that does
not help).

| promise | kept |
|---|---|
{chr(10).join(f"| {name} | {'yes' if kept else '**no**'} |" for name, kept in promises.items())}

![Lengths, keys, memory, and the knob](quality.png)
"""
    )
    return 0 if all(promises.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
