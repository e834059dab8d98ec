"""``make quality``: measure the music of all models, and write ``docs/quality.md``.

Every model composes with the defaults in its file. Its music is compared with pieces that it was
not trained on, and with an n-gram's. Temperature and top-p are chosen by the valid pieces alone;
the test pieces are used once, with the setting in the recipe.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
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
from appliance.training.evaluate.model_quality import ModelQuality, measure_quality
from appliance.training.evaluate.sampling_jobs import (
    Amount,
    ComposedMusic,
    ReferenceMusic,
    SamplingSetting,
    compose,
    load_reference,
    read_spool,
)

SWEEP_TEMPERATURES = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 2.0, 3.0)
GRID = [SamplingSetting(t, p) for p in (0.9, 0.95, 1.0) for t in (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)]
"""The settings from which a model's own is chosen."""
MODELS = Path("models")
DEFAULT_HOURS, DEFAULT_PIECES = 2.0, 16

Jobs = tuple[Future[ReferenceMusic], list[tuple[Path, Future[ComposedMusic]]]]
"""The jobs of one model: its reference, and each run of its composer with the spool file."""


def settings_for(model: model_file.ModelFile) -> list[SamplingSetting]:
    """All settings at which a model composes."""
    sweep = [SamplingSetting(temperature, model.top_p) for temperature in SWEEP_TEMPERATURES]
    own = SamplingSetting(model.temperature, model.top_p)
    return list(dict.fromkeys([*GRID, *sweep, own]))


def measure_models(
    paths: Sequence[Path], options: argparse.Namespace, folder: Path
) -> list[ModelQuality]:
    """Run all jobs on all cores, each in a process of its own, and compare the music.

    Args:
        paths: of the model files, each with its recipe beside it.
        options: of the command line.
        folder: for spool files.

    Raises:
        UsageError: a recipe or the scores of a model are not there.
        BachboxError: a model file cannot be loaded, or the runtime refuses the model.
        OSError: a spool file or the cache of a corpus cannot be read or written.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, max_tasks_per_child=1) as pool:
        jobs = {path: _submit(pool, path, options, folder) for path in paths}
        futures: list[Future[Any]] = []
        for reference, runs in jobs.values():
            futures += [reference, *(run for _, run in runs)]
        try:
            for future in tqdm(as_completed(futures), "composing", len(futures), unit="job"):
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [_measure(path, *jobs[path]) for path in paths]


def _submit(
    pool: ProcessPoolExecutor, path: Path, options: argparse.Namespace, folder: Path
) -> Jobs:
    model = model_file.load(path)
    reference = pool.submit(
        load_reference, path, options.data, options.build, 2 * options.pieces, options.seed
    )
    beats = options.hours * 60 * model.tempo_bpm
    defaults = SamplingSetting(model.temperature, model.top_p)
    wanted = [(defaults, Amount(beats=beats), options.seed + 1)]
    wanted += [(setting, Amount(options.pieces), options.seed) for setting in settings_for(model)]
    runs = []
    for number, (setting, amount, seed) in enumerate(wanted):
        spool = folder / f"{path.stem}-{number}"
        runs.append((spool, pool.submit(compose, path, setting, amount, seed, spool)))
    return reference, runs


def _measure(
    path: Path,
    reference: Future[ReferenceMusic],
    runs: Sequence[tuple[Path, Future[ComposedMusic]]],
) -> ModelQuality:
    card = recipe.load(path.with_suffix(".toml")).card
    long_run, *other_runs = [
        replace(run.result(), pieces=list(read_spool(spool))) for spool, run in runs
    ]
    setting = SamplingSetting(card.temperature, card.top_p)
    model = model_file.load(path)
    return measure_quality(model, setting, reference.result(), long_run, other_runs, GRID)


def main() -> int:
    """Compose, compare, write page and picture; the exit code, 1 for a broken guarantee."""
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--models", nargs="*", help="names of models (default: all in models/)")
    parser.add_argument("--data", type=Path, help="folder with the scores that are not in music21")
    parser.add_argument(
        "--hours", type=float, default=DEFAULT_HOURS, help="music per model with its defaults"
    )
    parser.add_argument(
        "--pieces", type=int, default=DEFAULT_PIECES, help="pieces at every other setting"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="parallel processes")
    parser.add_argument(
        "--build", type=Path, default=Path("build"), help="folder for intermediate files"
    )
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for the page")
    options = parser.parse_args()
    start_s = time.monotonic()
    # The faster of the two.
    os.environ.setdefault(RUNTIME_VARIABLE, RUNTIMES[-1])
    try:
        paths = [model_file.find(name, [MODELS]) for name in options.models or []]
        paths = paths or model_file.listing([MODELS])
        with tempfile.TemporaryDirectory() as folder:
            qualities = measure_models(paths, options, Path(folder))
    except BachboxError as error:
        print(f"bachbox: {error}", file=sys.stderr)
        return error.exit_code
    # Every job imports this module, and none of them draws.
    from appliance.training.evaluate import quality_plots

    quality_plots.draw(qualities, options.out / "quality.png")
    minutes = (time.monotonic() - start_s) / 60
    conditions = quality_page.Conditions(options.hours, options.pieces, options.seed, minutes)
    (options.out / "quality.md").write_text(quality_page.render_page(qualities, conditions))
    for quality in qualities:
        print(f"{quality.name}: {quality_page.setting_verdict(quality)}")
    broken = [f"{q.name}: {guarantee}" for q in qualities for guarantee in q.broken_guarantees]
    print("\n".join(f"broken: {line}" for line in broken) or "every guarantee is kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
