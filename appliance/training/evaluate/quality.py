"""``make quality``: measure the music of all models, and write ``docs/quality.md``.

Every model composes with the defaults in its file. Whether its music can be told from real music is
judged by gradient boosting, at the same number of pieces for every model. Temperature and top-p are
chosen by logistic regression on the valid pieces alone. What was composed and measured is kept in
``build/quality``, so that a stopped run continues where it was.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES
from appliance.errors import BachboxError
from appliance.training import recipe
from appliance.training.evaluate import likeness, quality_page
from appliance.training.evaluate.job_cache import cached
from appliance.training.evaluate.likeness import COMPOSED_PIECES, Likeness, RealMeasures
from appliance.training.evaluate.likeness_page import setting_section, setting_verdict
from appliance.training.evaluate.model_quality import Choice, ModelQuality, measure_quality
from appliance.training.evaluate.page_measures import PageMeasures
from appliance.training.evaluate.sampling_jobs import (
    ComposedMusic,
    ReferenceMusic,
    SamplingSetting,
    compose_and_measure,
    load_reference,
    timed,
)

SWEEP_TEMPERATURES = (0.1, 0.3, 0.5, 1.5, 2.0, 3.0)
"""Besides ``TEMPERATURES``; for the defects at every place of the knob."""
TEMPERATURES = (0.7, 0.8, 0.9, 1.0, 1.1)
TOP_PS = (0.9, 0.95, 1.0)
"""From which a model's own are chosen: first the temperature at the recipe's top-p, then top-p."""
MODELS = Path("models")
DEFAULT_SWEEP_PIECES = 16

T = TypeVar("T")


def judge_music(
    judge: Callable[[RealMeasures, Sequence[PageMeasures]], T],
    known: RealMeasures,
    composed: Sequence[PageMeasures],
    cache: Path,
) -> T:
    """Return what a function of :mod:`.likeness` says, or said before of the same music.

    Raises:
        ValueError: one side has fewer than five pieces with features.
        OSError: a file in ``cache`` cannot be read or written.
    """
    parts = (known, composed)
    return cached(cache, judge.__name__, parts, lambda: judge(known, composed))


class Workshop:
    """Runs jobs on all cores, each in a process of its own, and adds up what they cost.

    Args:
        jobs: how many at a time.
    """

    def __init__(self, jobs: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(jobs, spawn, max_tasks_per_child=1)
        self._futures: list[Future[Any]] = []
        self.cpu_s = 0.0

    def submit(self, function: Callable[..., T], *args: object) -> Future[tuple[T, float]]:
        """Begin a job; its result is what :func:`timed` returns."""
        future = self.pool.submit(timed, function, *args)
        self._futures.append(future)
        return future

    def wait(self, what: str) -> None:
        """Wait for all jobs that were begun, with a progress bar.

        Raises:
            Exception: what a job raised; the others are cancelled.
        """
        futures, self._futures = self._futures, []
        try:
            for future in tqdm(as_completed(futures), what, len(futures), unit="job"):
                self.cpu_s += future.result()[1]
        except BaseException:
            self.pool.shutdown(cancel_futures=True)
            raise


class ModelJobs:
    """The jobs of one model.

    Args:
        path: of the model file, with its recipe beside it.
        options: of the command line.
        workshop: runs the jobs.
    """

    def __init__(self, path: Path, options: argparse.Namespace, workshop: Workshop) -> None:
        self.path, self._options, self._workshop = path, options, workshop
        self.model = model_file.load(path)
        card = recipe.load(path.with_suffix(".toml")).card
        self.recipe_setting = SamplingSetting(card.temperature, card.top_p)
        self._reference = workshop.submit(
            load_reference, path, options.data, options.build, options.seed
        )
        self._choices = {
            setting: self._compose(setting, options.choice_pieces, options.seed)
            for setting in (
                SamplingSetting(t, self.recipe_setting.top_p) for t in options.temperatures
            )
        }
        self._long_run: Future[tuple[ComposedMusic, float]] | None = None
        self._sweep: list[Future[tuple[ComposedMusic, float]]] = []
        if not options.choose:
            own = SamplingSetting(self.model.temperature, self.model.top_p)
            self._long_run = self._compose(own, COMPOSED_PIECES, options.seed + 1)
            self._sweep = [
                self._compose(SamplingSetting(t, own.top_p), options.sweep_pieces, options.seed)
                for t in options.sweep
            ]
        self._aucs: dict[SamplingSetting, Future[tuple[float, float]]] = {}
        self._judgement: Future[tuple[Likeness, float]] | None = None

    def _compose(
        self, setting: SamplingSetting, pieces: int, seed: int
    ) -> Future[tuple[ComposedMusic, float]]:
        cache = self._options.build / "quality"
        return self._workshop.submit(compose_and_measure, self.path, setting, pieces, seed, cache)

    @property
    def reference(self) -> ReferenceMusic:
        """The music to compare with, once it is there."""
        return self._reference.result()[0]

    @property
    def music(self) -> dict[SamplingSetting, ComposedMusic]:
        """What was composed at each of the settings from which one is chosen."""
        return {setting: future.result()[0] for setting, future in self._choices.items()}

    @property
    def aucs(self) -> dict[SamplingSetting, float]:
        """The AUC on the valid pieces by setting, as far as it is known."""
        return {setting: future.result()[0] for setting, future in self._aucs.items()}

    def judge_settings(self) -> None:
        """Begin to judge the settings that have not been judged, and the defaults' music."""
        for setting, music in self.music.items():
            if setting not in self._aucs:
                self._aucs[setting] = self._judge(likeness.valid_auc, music)
        if self._judgement is None and self._long_run is not None:
            self._judgement = self._judge(likeness.compare, self._long_run.result()[0])

    def _judge(
        self, judge: Callable[[RealMeasures, Sequence[PageMeasures]], T], music: ComposedMusic
    ) -> Future[tuple[T, float]]:
        cache, known = self._options.build / "quality", self.reference.measures
        return self._workshop.submit(judge_music, judge, known, music.measures, cache)

    def compose_at_top_ps(self) -> None:
        """Begin to compose with each top-p, at the temperature that is best so far."""
        aucs = self.aucs
        temperature = min(aucs, key=lambda setting: aucs[setting]).temperature
        for top_p in self._options.top_ps:
            setting = SamplingSetting(temperature, top_p)
            if setting not in self._choices:
                self._choices[setting] = self._compose(
                    setting, self._options.choice_pieces, self._options.seed
                )

    def choice(self) -> Choice:
        """What was found about the settings."""
        given_up = {setting: music.given_up_share for setting, music in self.music.items()}
        return Choice(self.recipe_setting, self.aucs, given_up)

    def quality(self) -> ModelQuality:
        """Everything that was measured, once all jobs have ended; not with ``--choose``."""
        assert self._judgement is not None
        assert self._long_run is not None
        own_top_p = [music for s, music in self.music.items() if s.top_p == self.model.top_p]
        return measure_quality(
            self.model,
            self.choice(),
            self.reference,
            self._long_run.result()[0],
            [*(run.result()[0] for run in self._sweep), *own_top_p],
            self._judgement.result()[0],
        )


def run_jobs(paths: Sequence[Path], options: argparse.Namespace) -> tuple[list[ModelJobs], float]:
    """Run all jobs on all cores; return them, and the processor time in seconds.

    Args:
        paths: of the model files, each with its recipe beside it.
        options: of the command line.

    Raises:
        UsageError: a recipe or the scores of a model are not there.
        BachboxError: a model file cannot be loaded, or the runtime refuses the model.
        OSError: a spool file or a cache cannot be read or written.
    """
    workshop = Workshop(options.jobs)
    with workshop.pool:
        models = [ModelJobs(path, options, workshop) for path in paths]
        workshop.wait("composing")
        for model in models:
            model.judge_settings()
        workshop.wait("judging")
        for model in models:
            model.compose_at_top_ps()
        workshop.wait("composing at other top-p")
        for model in models:
            model.judge_settings()
        workshop.wait("judging")
        return models, workshop.cpu_s


def main() -> int:
    """Compose, compare, write page and picture; the exit code, 1 for a broken guarantee."""
    parser = argparse.ArgumentParser(prog="make quality", description=__doc__)
    parser.add_argument("--models", nargs="*", help="names of models (default: all in models/)")
    parser.add_argument("--data", type=Path, help="folder with the scores that are not in music21")
    parser.add_argument(
        "--choose", action="store_true", help="only choose temperature and top-p, and print them"
    )
    parser.add_argument(
        "--choice-pieces",
        type=int,
        default=COMPOSED_PIECES,
        help="pieces at each setting from which a model's is chosen",
    )
    for name, values in (
        ("temperatures", TEMPERATURES), ("top-ps", TOP_PS), ("sweep", SWEEP_TEMPERATURES),
    ):  # fmt: skip
        parser.add_argument(
            f"--{name}", type=float, nargs="+", default=values, help=f"instead of {values}"
        )
    parser.add_argument(
        "--sweep-pieces",
        type=int,
        default=DEFAULT_SWEEP_PIECES,
        help="pieces at every temperature, for the defects",
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
    # The jobs run beside one another; threads within them only cost.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        paths = [model_file.find(name, [MODELS]) for name in options.models or []]
        paths = paths or model_file.listing([MODELS])
        models, cpu_s = run_jobs(paths, options)
    except BachboxError as error:
        print(f"bachbox: {error}", file=sys.stderr)
        return error.exit_code
    if options.choose:
        for model in models:
            print(setting_section(model.model.name, model.choice()))
        return 0
    qualities = [model.quality() for model in models]
    # Every job imports this module, and none of them draws.
    from appliance.training.evaluate import quality_plots

    quality_plots.draw(qualities, options.out / "quality.png")
    minutes = (time.monotonic() - start_s) / 60
    conditions = quality_page.Conditions(
        options.choice_pieces, options.sweep_pieces, options.seed, minutes, cpu_s / 60
    )
    (options.out / "quality.md").write_text(quality_page.render_page(qualities, conditions))
    for quality in qualities:
        print(f"{quality.name}: {setting_verdict(quality)}")
    broken = [f"{q.name}: {guarantee}" for q in qualities for guarantee in q.broken_guarantees]
    print("\n".join(f"broken: {line}" for line in broken) or "every guarantee is kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
