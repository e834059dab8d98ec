"""A composer of one's own: ``bachbox train FOLDER --name telemann``."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from appliance.audio.silence_stderr import quiet
from appliance.composing import model_file
from appliance.composing.model_check import try_model
from appliance.errors import UsageError
from appliance.music.codecs.base import Codec
from appliance.state import general_midi
from appliance.training.data import score_folder as folders
from appliance.training.data.score_folder import Folder
from appliance.training.evaluate import ngram
from appliance.training.evaluate.likelihood import nats_a_unit
from appliance.training.recipe import (
    CardPart,
    CodecPart,
    CorpusPart,
    NetworkPart,
    Recipe,
    Trained,
    TrainingPart,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
NETWORK = NetworkPart(embedding=128, hidden=256, layers=2)
PASSES = 250
"""Through all pieces, each time in another key: more gains nothing even where there is time."""
MIN_TOKENS = 20_000
PATIENCE_LOOKS = 4
WARMUP_SHARE = 0.05
LOOKING_SHARE = 0.1
"""How much longer training lasts by looking at the valid pieces."""
AFTERWARDS_MINUTES = 2
"""For conversion, measuring and the n-gram."""

MAX_LEFT_OUT = 50
"""Files that are told of by name."""

Say = Callable[[str], object]


class Made(NamedTuple):
    """A model file in its place, and what it is worth."""

    path: Path
    nats: float
    """A unit, on the test pieces."""
    ngram_nats: float


def check_name(name: str, taken: Sequence[Path], target: Path) -> None:
    """Whether a model can be called so.

    Raises:
        UsageError: the name is none, or a model that is not the person's own has it.
    """
    if not NAME.fullmatch(name) or name.endswith(model_file.COMPILED):
        raise UsageError(
            f"--name {name!r}: a name has at most 40 letters, digits, '-' and '_', begins with "
            f"a letter or digit and does not end in {model_file.COMPILED!r}"
        )
    other = next((path for path in taken if path.stem == name and path != target), None)
    if other is not None:
        raise UsageError(f"--name {name}: {other} is called so already; choose another name")


def working_folder(name: str) -> Path:
    """Where the checkpoints of a model of one's own are kept until it is made."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "bachbox" / "training" / name


def train(source: Path, name: str, minutes: float, seed: int, target: Path, say: Say) -> Made:
    """From a folder of scores to a model file that the appliance lists.

    What is stopped goes on from its last checkpoint when it is asked for again.

    Args:
        source: the folder with the scores.
        name: of the model.
        minutes: for the training itself; converting and measuring come after it.
        seed: of the training.
        target: the model file to be.
        say: is given sentences for people.

    Raises:
        UsageError: the folder has not enough music in it.
    """
    work = working_folder(name)
    work.mkdir(parents=True, exist_ok=True)
    say(f"Reading {source}")
    try:
        found = folders.read(source, work / "scores.json")
    except folders.TooLittleError as why:
        _tell_left_out(why.left_out, say)
        raise
    _tell_left_out(found.left_out, say)
    sizes = {split: len(scores) for split, scores in found.scores.items()}
    say(
        f"{_many(sum(sizes.values()), 'piece')} with {found.notes} notes: {sizes['train']} to "
        f"learn from, {sizes['valid']} to see when to stop, {sizes['test']} to judge it by."
    )
    codec = _codec(source, found)
    made = _planned(source, name, minutes, seed, codec, found, work, say)
    return _make(made, codec, found, work, target, say)


def _tell_left_out(left_out: Sequence[tuple[str, str]], say: Say) -> None:
    if left_out:
        say(f"Left out ({len(left_out)}):")
    for what, why in left_out[:MAX_LEFT_OUT]:
        say(f"  {what}: {why}")
    if len(left_out) > MAX_LEFT_OUT:
        often = Counter(why for _, why in left_out[MAX_LEFT_OUT:]).most_common(1)[0][0]
        say(f"  and {len(left_out) - MAX_LEFT_OUT} more, most of them: {often}")


def _codec(source: Path, found: Folder) -> Codec:
    # The range and the lengths are facts about the music that tell no note of it.
    try:
        return found.kind.codec([score for scores in found.scores.values() for score in scores])
    except ValueError as why:
        raise UsageError(f"{source}: there is no music in it to learn from ({why})") from why


def recipe_for(source: Path, name: str, minutes: float, seed: int, found: Folder) -> Recipe:
    """The recipe for a folder of scores, but for how many tokens are learned."""
    pieces = sum(map(len, found.scores.values()))
    return Recipe(
        name=name,
        card=CardPart(
            title=name,
            description=f"After {_many(pieces, 'piece')} from a folder called {_plain(source)}.",
            corpus=f"a folder called {_plain(source)}",
            licence="private; what may be done with it depends on the scores it learned from",
            tempo_bpm=found.tempo_bpm,
            temperature=found.kind.temperature,
            top_p=0.95,
            instrument=found.instrument,
            made_by=f"`bachbox train FOLDER --name {name} --minutes {minutes:g} --seed {seed}`",
        ),
        corpus=CorpusPart(source="lines"),
        codec=CodecPart(name=found.kind.codec_name),
        network=NETWORK,
        training=TrainingPart(
            tokens=0,
            lanes=32,
            chunk_tokens=120,
            learning_rate=2e-3,
            dropout=0.4,
            patience_looks=PATIENCE_LOOKS,
            seed=seed,
        ),
    )


def _plain(source: Path) -> str:
    """A folder's name as a bundle may say it."""
    name = source.resolve().name or "the root"
    return "".join(sign if sign.isprintable() else "?" for sign in name)[:80]


def _planned(
    source: Path,
    name: str,
    minutes: float,
    seed: int,
    codec: Codec,
    found: Folder,
    work: Path,
    say: Say,
) -> Recipe:
    """The whole recipe: as much as can be learned in the time, or what was begun before."""
    from appliance.training.trainer import LOOKS, tokens_a_second

    made = recipe_for(source, name, minutes, seed, found)
    plan, kept = made.training, work / "plan.json"
    asked = {"music": found.fingerprint, "minutes": minutes, "seed": seed, "codec": codec.options}
    of = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    before = json.loads(kept.read_text()) if kept.is_file() else {}
    if before.get("of") == of and (work / "checkpoint.pt").is_file():
        plan.tokens, plan.warmup_updates = before["tokens"], before["warmup_updates"]
        say("It goes on from where it was stopped.")
        return made
    (work / "checkpoint.pt").unlink(missing_ok=True)
    say("Measuring how fast this machine learns")
    rate = tokens_a_second(made, codec, found.scores["train"])
    in_time = int(rate * minutes * 60 / (1 + LOOKING_SHARE))
    enough = PASSES * sum(len(codec.encode(score)[1]) for score in found.scores["train"])
    plan.tokens = max(MIN_TOKENS, LOOKS, min(in_time, enough))
    updates = plan.tokens // (plan.lanes * plan.chunk_tokens)
    plan.warmup_updates = max(1, min(plan.warmup_updates, round(WARMUP_SHARE * updates)))
    training = plan.tokens / rate * (1 + LOOKING_SHARE) / 60
    say(
        f"It will take about {_said(training + AFTERWARDS_MINUTES)}: {_said(training)} of training "
        f"({rate:.0f} tokens a second), and then converting and measuring. Ctrl-C stops it, and "
        "the same command goes on from there."
    )
    unfinished = kept.with_suffix(".part")
    unfinished.write_text(
        json.dumps({"of": of, "tokens": plan.tokens, "warmup_updates": plan.warmup_updates})
    )
    unfinished.replace(kept)
    return made


def _said(minutes: float) -> str:
    if minutes < 1:
        return _many(max(1, round(minutes * 60)), "second")
    return _many(round(minutes), "minute")


def _many(count: int, of: str) -> str:
    return f"{count} {of}{'' if count == 1 else 's'}"


def _make(made: Recipe, codec: Codec, found: Folder, work: Path, target: Path, say: Say) -> Made:
    """Train, convert, measure, and put the model file in its place."""
    from appliance.training.convert import export_tflite
    from appliance.training.trainer import train as learn

    scores = found.scores
    weights = learn(made, codec, scores["train"], scores["valid"], work)
    trained = Trained(made, [weights])
    say("Converting to int8, which takes a minute or two")
    with quiet():
        samples = export_tflite.calibration(trained, codec, scores["train"])
        model = export_tflite.tflite(trained, codec, samples)
    file = work / target.name
    export_tflite.write(made, codec, model, scores["train"], "", file)
    try_model(file)
    say("Measuring, on the pieces that it has not seen")
    nats = nats_a_unit(model_file.load(file), scores["test"])
    n, ngram_nats = ngram.baseline(codec, scores["train"], scores["valid"], scores["test"])
    figures = [
        f"{nats:.3f} nats a {codec.unit}: the model as it is played, int8",
        f"{ngram_nats:.3f} nats a {codec.unit}: a {n}-gram, which only counts",
    ]
    verdict = _verdict(nats, ngram_nats)
    measured = "\n".join(f"- {figure}" for figure in figures)
    export_tflite.write(
        made,
        codec,
        model,
        scores["train"],
        f"On {_many(len(scores['test']), 'piece')} not seen in any key (less is better):\n\n"
        f"{measured}\n\n{verdict}",
        file,
    )
    _put(file, target)
    for figure in figures:
        say(f"  {figure}")
    say(verdict)
    say(
        f"{target}: {made.card.tempo_bpm:g} beats a minute, "
        f"{general_midi.name(made.card.instrument)}; `bachbox play --model {made.name}` plays it."
    )
    shutil.rmtree(work)
    return Made(target, nats, ngram_nats)


def _verdict(nats: float, ngram_nats: float) -> str:
    if nats < ngram_nats:
        return "It foretells music of this kind better than counting does."
    return (
        "The n-gram wins: the model has learned less than counting finds out. More pieces or more "
        "--minutes may mend that; until then expect little of it."
    )


def _put(file: Path, target: Path) -> None:
    """The model file and its card where the appliance lists them, each whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    shutil.copyfile(file, unfinished)
    unfinished.replace(target)
    target.with_suffix(".md").write_text(model_file.load(target).card)
