"""``python -m appliance.training MODEL``: make a model from scores, by its recipe."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import msgspec

from appliance.composing import model_file
from appliance.errors import BachboxError, UsageError
from appliance.training import recipe as recipes
from appliance.training.data.corpus import load_corpus
from appliance.training.evaluate.line_moves import moves_on, table_of
from appliance.training.pipeline import (
    calibrate,
    correct_model,
    evaluate,
    make_model,
    teach_model,
    update_card,
)

RECIPE_FOLDERS = (Path("models"), Path("models/benchmarks"))


def find_recipe(name: str) -> Path:
    """The recipe of that name, or the recipe file itself.

    Raises:
        UsageError: there is none; the message lists the names of all recipes.
    """
    for path in (Path(name), *(folder / f"{name}.toml" for folder in RECIPE_FOLDERS)):
        if path.suffix == ".toml" and path.is_file():
            return path
    known = sorted(path.stem for folder in RECIPE_FOLDERS for path in folder.glob("*.toml"))
    raise UsageError(f"no recipe called {name!r}; the recipes are: {', '.join(known)}")


def main() -> int:
    """Train, convert and evaluate; the exit code, 0 when the model file is in place."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training", description=__doc__)
    parser.add_argument("model", help="the name of a recipe in models/, or a recipe file")
    parser.add_argument("--evaluate", action="store_true", help="only evaluate the model file")
    parser.add_argument("--moves", action="store_true", help="only tell how its lines move")
    parser.add_argument("--card", action="store_true", help="only update the model file's card")
    parser.add_argument(
        "--calibrate", action="store_true", help="only calibrate the model file, and evaluate it"
    )
    parser.add_argument(
        "--facts", action="store_true", help="only write the facts of the model file's forms again"
    )
    parser.add_argument(
        "--teach", action="store_true", help="teach the model file what a critic prefers"
    )
    parser.add_argument(
        "--correct", action="store_true", help="correct the model file's logits, by its own music"
    )
    parser.add_argument("--data", type=Path, help="folder with further scores")
    parser.add_argument(
        "--build", type=Path, default=Path("build"), help="folder for intermediate files"
    )
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.threads:
            import torch

            torch.set_num_threads(options.threads)
        recipe_path = find_recipe(options.model)
        recipe = recipes.load(recipe_path)
        corpus = load_corpus(recipe, options.data, options.build)
        path = recipe_path.with_suffix(model_file.SUFFIX)
        folder = options.build / recipe.name
        if options.moves:
            print("\n".join(table_of(moves_on(model_file.load(path), corpus["valid"]))))
        elif options.evaluate:
            print("\n".join(evaluate(path, corpus)))
        elif options.calibrate:
            print("\n".join(calibrate(recipe, corpus, path)))
        elif options.facts:
            # It imports what reads a flatbuffer.
            from appliance.training.convert.write_model_file import write_facts

            write_facts(path, corpus["train"])
        elif options.teach:
            print("\n".join(teach_model(recipe, corpus, folder / "teach", path)))
        elif options.correct:
            print("\n".join(correct_model(recipe, corpus, path)))
        elif options.card:
            update_card(recipe, corpus, path)
        else:
            untaught = msgspec.structs.replace(recipe, preferences=recipes.PreferenceConfig())
            make_model(untaught, corpus, folder, path)
            if recipe.preferences.rounds:
                print("\n".join(teach_model(recipe, corpus, folder / "teach", path)))
            if recipe.corrections.rounds:
                print("\n".join(correct_model(recipe, corpus, path)))
    except BachboxError as error:
        print(f"bachbox: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
