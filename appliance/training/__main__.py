"""``python -m appliance.training MODEL``: from scores to a model file, by its recipe."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch

from appliance.errors import BachboxError, UsageError
from appliance.training import corpus, recipe
from appliance.training.train import train

RECIPES = (Path("models"), Path("models/benchmarks"))


def scores_for(made: recipe.Recipe, data: Path | None, build: Path) -> corpus.Corpus:
    """The corpus that a recipe names, split by piece."""
    if made.corpus.source == "jsb-benchmark":
        if data is None:
            raise UsageError(f"{made.name} needs --data FOLDER with {corpus.BENCHMARK_FILE} in it")
        return corpus.benchmark(data)
    held_out = {"valid": made.corpus.valid, "test": made.corpus.test}
    return corpus.chorales(build / "corpus", held_out)


def find_recipe(name: str) -> Path:
    """The recipe of that name, or the file itself."""
    candidates = [Path(name), *(folder / f"{name}.toml" for folder in RECIPES)]
    for path in candidates:
        if path.suffix == ".toml" and path.is_file():
            return path
    known = sorted(path.stem for folder in RECIPES for path in folder.glob("*.toml"))
    raise UsageError(f"no recipe called {name!r}; there are: {', '.join(known)}")


def main() -> int:
    """Train, convert, evaluate; 0 when the model file is in place."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training", description=__doc__)
    parser.add_argument("model", help="a recipe's name in models/, or its file")
    parser.add_argument("--data", type=Path, help="folder with further scores")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where to work")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if asked.threads:
        torch.set_num_threads(asked.threads)
    try:
        path = find_recipe(asked.model)
        made = recipe.load(path)
        scores = scores_for(made, asked.data, asked.build)
        folder = asked.build / made.name
        weights = train(made, scores["train"], scores["valid"], folder)
        np.savez(folder / "weights.npz", allow_pickle=False, **weights)
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
