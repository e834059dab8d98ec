"""``python -m appliance.training MODEL``: from scores to a model file, by its recipe."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from appliance.errors import BachboxError, UsageError
from appliance.music import bundle
from appliance.music.interpreter import RUNTIME_VARIABLE, RUNTIMES, runtime
from appliance.training import corpus, recipe
from appliance.training.evaluate import nats_a_step
from appliance.training.ngram import baseline

log = logging.getLogger(__name__)

RECIPES = (Path("models"), Path("models/benchmarks"))


def find_recipe(name: str) -> Path:
    """The recipe of that name, or the file itself.

    Raises:
        UsageError: there is none; the sentence lists those there are.
    """
    for path in (Path(name), *(folder / f"{name}.toml" for folder in RECIPES)):
        if path.suffix == ".toml" and path.is_file():
            return path
    known = sorted(path.stem for folder in RECIPES for path in folder.glob("*.toml"))
    raise UsageError(f"no recipe called {name!r}; there are: {', '.join(known)}")


def scores_for(made: recipe.Recipe, data: Path | None, build: Path) -> corpus.Corpus:
    """The corpus that a recipe names, split by piece."""
    if made.corpus.source == "jsb-benchmark":
        if data is None:
            raise UsageError(f"{made.name} needs --data FOLDER with {corpus.BENCHMARK_FILE} in it")
        return corpus.benchmark(data)
    held_out = {"valid": made.corpus.valid, "test": made.corpus.test}
    return corpus.chorales(build / "corpus", held_out)


def runtimes() -> list[str]:
    """The TensorFlow Lite runtimes that are installed here."""
    found = []
    for name in RUNTIMES:
        os.environ[RUNTIME_VARIABLE] = name
        try:
            found.append(runtime()[0])
        except BachboxError:
            log.info("%s is not installed here: not measured", name)
    del os.environ[RUNTIME_VARIABLE]
    return found


def evaluate(path: Path, scores: corpus.Corpus) -> list[str]:
    """Figures of the model file on the test pieces, a line a runtime, an n-gram beside it."""
    lines = []
    for name in runtimes():
        os.environ[RUNTIME_VARIABLE] = name
        figure = nats_a_step(bundle.load(path), scores["test"])
        lines.append(f"{figure:.4f} nats a 16th step, int8 on {name}")
    os.environ.pop(RUNTIME_VARIABLE, None)
    codec = bundle.load(path).codec
    n, figure = baseline(codec, scores["train"], scores["valid"], scores["test"])
    lines.append(f"{figure:.4f} nats a 16th step, {n}-gram with back-off")
    return lines


def make(made: recipe.Recipe, scores: corpus.Corpus, folder: Path, path: Path) -> None:
    """Train (or go on training), convert, evaluate, and put the model file in its place."""
    # These take seconds and hundreds of megabytes to import; evaluation needs neither.
    from appliance.training import convert
    from appliance.training.train import float_nats_a_step, train

    weights = train(made, scores["train"], scores["valid"], folder)
    log.info("converting to int8 (a minute or two)")
    samples = convert.calibration(made, weights, scores["train"])
    model = convert.tflite(made, weights, samples)
    unmeasured = folder / path.name
    convert.write(made, model, scores["train"], "", unmeasured)
    figures = [
        f"{float_nats_a_step(made, weights, scores['test']):.4f} nats a 16th step, float",
        *evaluate(unmeasured, scores),
    ]
    measured = (
        f"On the {len(scores['test'])} test pieces, none of them seen in training in any key; "
        "summed over four voices, notes only, whole pieces, the model's own "
        f"{'onset' if made.codec.onsets else 'benchmark'} grid:\n\n"
        + "\n".join(f"- {figure}" for figure in figures)
    )
    convert.write(made, model, scores["train"], measured, path)
    path.with_suffix(".md").write_text(bundle.load(path).card)
    log.info("%s\n%s", path, "\n".join(figures))


def main() -> int:
    """Train, convert, evaluate; 0 when the model file is in place."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training", description=__doc__)
    parser.add_argument("model", help="a recipe's name in models/, or its file")
    parser.add_argument("--evaluate", action="store_true", help="only measure the model file")
    parser.add_argument("--data", type=Path, help="folder with further scores")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where to work")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if asked.threads:
            import torch

            torch.set_num_threads(asked.threads)
        found = find_recipe(asked.model)
        made = recipe.load(found)
        scores = scores_for(made, asked.data, asked.build)
        path = found.with_suffix(bundle.SUFFIX)
        if asked.evaluate:
            print("\n".join(evaluate(path, scores)))
        else:
            make(made, scores, asked.build / made.name, path)
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
