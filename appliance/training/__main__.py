"""``python -m appliance.training MODEL``: from scores to a model file, by its recipe."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from appliance.composing import model_file
from appliance.composing.interpreter import RUNTIME_VARIABLE, RUNTIMES, runtime
from appliance.errors import BachboxError, UsageError
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.training import recipe
from appliance.training.data import corpus, folk_corpus, free_rhythm_corpus
from appliance.training.evaluate.likelihood import nats_a_unit
from appliance.training.evaluate.ngram import baseline

log = logging.getLogger(__name__)

MEASURED = {
    FourPartCodec.name: "summed over four voices, notes only, whole pieces, the model's own grid",
    FreeRhythmCodec.name: "start, pitch and length of every note, whole pieces",
    AbcCodec.name: "every sign of a tune's text on C, over its characters; mode and bar lines too",
}
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
    part = made.corpus
    if part.source == "music21-chorales":
        held_out = {"valid": part.valid, "test": part.test}
        return corpus.chorales(build / "corpus", held_out, part.left_out)
    if part.source == "tunes":
        return folk_corpus.tunes(build / "corpus" / f"{made.name}.json")
    if data is None:
        raise UsageError(f"{made.name} needs --data FOLDER, the folder with its scores")
    if part.source == "jsb-benchmark":
        return corpus.benchmark(data)
    return corpus.lines(data, part, build / "corpus" / f"{made.name}.json")


def codec_for(made: recipe.Recipe, scores: corpus.Corpus) -> Codec:
    """The codec that a recipe names, for the notes of its corpus."""
    part = made.codec
    if part.name == FreeRhythmCodec.name:
        return free_rhythm_corpus.codec_for(scores["train"], scores.get(corpus.ALSO, []))
    if part.name == AbcCodec.name:
        return AbcCodec()
    ranges = corpus.voice_ranges(scores["train"])
    return FourPartCodec(onsets=part.onsets, form=part.form, ranges=ranges)


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
    codec = model_file.load(path).codec
    for name in runtimes():
        os.environ[RUNTIME_VARIABLE] = name
        figure = nats_a_unit(model_file.load(path), scores["test"])
        lines.append(f"{figure:.4f} nats a {codec.unit}, int8 on {name}")
    os.environ.pop(RUNTIME_VARIABLE, None)
    also = scores.get(corpus.ALSO, [])
    n, figure = baseline(codec, scores["train"], scores["valid"], scores["test"], also)
    lines.append(f"{figure:.4f} nats a {codec.unit}, {n}-gram with back-off")
    return lines


def make(made: recipe.Recipe, scores: corpus.Corpus, folder: Path, path: Path) -> None:
    """Train (or go on training), convert, evaluate, and put the model file in its place."""
    # These take seconds and hundreds of megabytes to import; evaluation needs neither.
    from appliance.training.convert import export_tflite
    from appliance.training.trainer import float_nats_a_unit, train

    codec = codec_for(made, scores)
    trained = recipe.Trained(
        made,
        [
            train(
                made,
                codec,
                scores["train"],
                scores["valid"],
                folder,
                member + 1,
                also=scores.get(corpus.ALSO, []),
            )
            for member in range(made.network.members)
        ],
    )
    log.info("converting to int8 (a minute or two)")
    samples = export_tflite.calibration(trained, codec, scores["train"])
    model = export_tflite.tflite(trained, codec, samples)
    unmeasured = folder / path.name
    export_tflite.write(made, codec, model, scores["train"], "", unmeasured)
    figure = float_nats_a_unit(trained, codec, scores["test"])
    figures = [f"{figure:.4f} nats a {codec.unit}, float", *evaluate(unmeasured, scores)]
    measured = measured_by(codec, scores, figures)
    export_tflite.write(made, codec, model, scores["train"], measured, path)
    path.with_suffix(".md").write_text(model_file.load(path).card)
    log.info("%s\n%s", path, "\n".join(figures))


def measured_by(codec: Codec, scores: corpus.Corpus, figures: Sequence[str]) -> str:
    """What a card says of its figures."""
    return (
        f"On the {len(scores['test'])} test pieces, none of them seen in training in any key; "
        f"{MEASURED[codec.name]}:\n\n" + "\n".join(f"- {figure}" for figure in figures)
    )


def renew_card(made: recipe.Recipe, scores: corpus.Corpus, path: Path) -> None:
    """Write the card anew into the model file; its weights and figures stay as they are."""
    from appliance.training.convert import export_tflite

    model = model_file.load(path)
    _, *figures = model.card.partition("## Measured")[2].split("\n- ")
    measured = measured_by(model.codec, scores, [figure.strip() for figure in figures])
    export_tflite.write(made, model.codec, model.model, scores["train"], measured, path)
    path.with_suffix(".md").write_text(model_file.load(path).card)


def main() -> int:
    """Train, convert, evaluate; 0 when the model file is in place."""
    parser = argparse.ArgumentParser(prog="python -m appliance.training", description=__doc__)
    parser.add_argument("model", help="a recipe's name in models/, or its file")
    parser.add_argument("--evaluate", action="store_true", help="only measure the model file")
    parser.add_argument("--card", action="store_true", help="only renew the model file's card")
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
        path = found.with_suffix(model_file.SUFFIX)
        if asked.evaluate:
            print("\n".join(evaluate(path, scores)))
        elif asked.card:
            renew_card(made, scores, path)
        else:
            make(made, scores, asked.build / made.name, path)
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
