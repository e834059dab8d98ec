"""``python -m appliance.training.evaluate.quality``: the models' music, measured, in ``docs/quality.md``.

Every model composes as it ships; its music is held beside the pieces that it was not trained
on, and beside an n-gram's. Temperature and top-p are judged by the valid pieces alone; the test
pieces are looked at once, with what the recipe says.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES
from appliance.errors import BachboxError
from appliance.training import recipe
from appliance.training.evaluate import quality_page
from appliance.training.evaluate.comparison import Weighed, weigh
from appliance.training.evaluate.sampling_jobs import (
    Amount,
    Music,
    Setting,
    Studied,
    compose,
    spooled,
    study,
)

KNOB = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 2.0, 3.0)
GRID = [Setting(t, p) for p in (0.9, 0.95, 1.0) for t in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)]
"""From which a model's own setting is chosen."""
MODELS = Path("models")
HOURS, PIECES = 2.0, 16


def settings_for(model: model_file.Bundle) -> list[Setting]:
    """All that are listened to."""
    knob = [Setting(t, model.top_p) for t in KNOB]
    return list(dict.fromkeys([*GRID, *knob, Setting(model.temperature, model.top_p)]))


def listen(
    paths: list[Path], data: Path | None, asked: argparse.Namespace, folder: Path
) -> list[Weighed]:
    """All the jobs, on every core, each in a process of its own so that its memory can be told."""
    cards = {path: recipe.load(path.with_suffix(".toml")).card for path in paths}
    says = {path: Setting(card.temperature, card.top_p) for path, card in cards.items()}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, spawn, max_tasks_per_child=1) as pool:
        waiting: dict[Path, tuple[Future[Studied], list[tuple[Path, Future[Music]]]]] = {}
        for path in paths:
            model = model_file.load(path)
            studying = pool.submit(study, path, data, asked.build, 2 * asked.pieces, asked.seed)
            beats = asked.hours * 60 * model.tempo_bpm
            recipes = Setting(model.temperature, model.top_p)
            wanted = [(recipes, Amount(beats=beats), asked.seed + 1)]
            wanted += [(s, Amount(asked.pieces), asked.seed) for s in settings_for(model)]
            composing = []
            for number, (setting, amount, seed) in enumerate(wanted):
                spool = folder / f"{path.stem}-{number}"
                composing.append((spool, pool.submit(compose, path, setting, amount, seed, spool)))
            waiting[path] = studying, composing
        futures: list[Future[Any]] = []
        for studying, composing in waiting.values():
            futures += [studying, *(future for _, future in composing)]
        try:
            for future in tqdm(as_completed(futures), "composing", len(futures), unit="job"):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        found = []
        for path, (studying, composing) in waiting.items():
            day, *rest = [
                replace(future.result(), pieces=list(spooled(spool))) for spool, future in composing
            ]
            found.append(
                weigh(model_file.load(path), says[path], studying.result(), day, rest, GRID)
            )
    return found


def main() -> int:
    """Compose, listen, write the page and its pictures; 1 where a promise is broken."""
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--models", nargs="*", help="names (all in models/ where not given)")
    parser.add_argument("--data", type=Path, help="folder with the scores that are not music21's")
    parser.add_argument("--hours", type=float, default=HOURS, help="of music as it ships, a model")
    parser.add_argument("--pieces", type=int, default=PIECES, help="at every other setting")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at the same time")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where to work")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    asked = parser.parse_args()
    began = time.monotonic()
    # The quicker of the two.
    os.environ.setdefault(RUNTIME_VARIABLE, RUNTIMES[-1])
    try:
        paths = [model_file.find(name, [MODELS]) for name in asked.models or []]
        paths = paths or model_file.listing([MODELS])
        with tempfile.TemporaryDirectory() as folder:
            found = listen(paths, asked.data, asked, Path(folder))
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    # Every job imports this module, and none of them draws.
    from appliance.training.evaluate import quality_plots

    quality_plots.draw(found, asked.out / "quality.png")
    page = quality_page.write(
        found, asked.hours, asked.pieces, asked.seed, time.monotonic() - began
    )
    (asked.out / "quality.md").write_text(page)
    broken = [f"{one.name}: {what}" for one in found for what in one.broken]
    for one in found:
        print(f"{one.name}: {quality_page.verdict(one)}")
    print("\n".join(f"broken: {line}" for line in broken) or "every promise is kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
