"""The scores that a recipe names, split by piece, and the codec that fits them.

Recipes in ``models/`` list the pieces held out for valid and test; in tunes and in a user's folder
they are drawn, see ``HELD_OUT_SHARE`` in ``folk_corpus.py`` and ``score_folder.py``.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.composing import model_file
from appliance.errors import BachboxError, UsageError
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.base import Codec
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.codecs.four_part_conversion import to_four_parts
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.files import musicxml_reader
from appliance.music.score import (
    HIGHEST_PITCH,
    SILENT,
    VOICES,
    Form,
    FreeRhythmScore,
    Key,
    Score,
    key_of,
    onsets_by_change,
)
from appliance.training.data import folk_corpus, free_rhythm_corpus, parse_cache, piece_facts
from appliance.training.networks.warm_start import REPOSITORY
from appliance.training.recipe import CorpusConfig, Recipe

log = logging.getLogger(__name__)

BENCHMARK_FILE = "chorales/Jsb16thSeparated.json"
SPLITS = ("train", "valid", "test")
_HUMDRUM = ".krn"
"""Three of the chorales have no other form in the corpus; music21 converts them."""
PRETRAIN = "pretrain"

Corpus = dict[str, list[Any]]
"""The pieces of each of ``SPLITS``, of the kind that the codec encodes. Some corpora also have
``PRETRAIN``: pieces of another kind of music, for the beginning of the training."""


def load_corpus(recipe: Recipe, data: Path | None, build: Path) -> Corpus:
    """The corpus that a recipe names, split by piece.

    Args:
        recipe: names the source and the held-out pieces.
        data: the folder with scores that are not in music21, or None.
        build: a folder for the parsed scores, which are read from there the next time.

    Raises:
        UsageError: the scores are not there, or a piece to hold out is not among them.
        OSError: the cache cannot be read or written.
    """
    config = recipe.corpus
    if config.source == "music21-chorales":
        held_out = {"valid": config.valid, "test": config.test}
        return _chorales(load_chorales(build / "corpus", held_out, config.excluded))
    if config.source == "music21-folk":
        return folk_corpus.load(build / "corpus" / f"{recipe.name}.json")
    if data is None:
        raise UsageError(f"{recipe.name} needs --data FOLDER, the folder with its scores")
    if config.source == "jsb-benchmark":
        return _chorales(load_benchmark(data))
    return load_score_folders(data, config, build / "corpus" / f"{recipe.name}.json")


def _chorales(corpus: Corpus) -> Corpus:
    """The same pieces with their facts."""
    return {
        split: [piece_facts.with_facts(score, "chorale") for score in scores]
        for split, scores in corpus.items()
    }


def codec_for(recipe: Recipe, corpus: Corpus) -> Codec:
    """The codec that a recipe names, for the notes that occur in its corpus.

    In free rhythm a training that starts from a model file keeps the range and the durations of
    that model, because its weights are of no use for others.

    Raises:
        BachboxError: the model file to start from cannot be loaded, or is of another kind of music.
        ValueError: there are no training pieces, or one has no notes.
    """
    config = recipe.codec
    if config.name == FreeRhythmCodec.name:
        if recipe.training.warm_start:
            start = model_file.load(REPOSITORY / recipe.training.warm_start)
            if not isinstance(start.codec, FreeRhythmCodec):
                raise UsageError(
                    f"warm_start: the model composes {start.metadata.codec.name!r}, not "
                    f"{config.name!r}; name another model, or none"
                )
            return FreeRhythmCodec(**start.codec.options | {"conditioning": config.conditioning})
        others = corpus.get(PRETRAIN, [])
        return free_rhythm_corpus.codec_for(
            corpus["train"], others, conditioning=config.conditioning
        )
    if config.name == AbcCodec.name:
        return AbcCodec()
    ranges = voice_ranges(corpus["train"])
    return FourPartCodec(onsets=config.onsets, form=config.form, ranges=ranges)


def training_scores(corpus: Corpus) -> list[Any]:
    """Every piece that a model has seen in training."""
    return [*corpus["train"], *corpus.get(PRETRAIN, [])]


def load_benchmark(folder: Path) -> Corpus:
    """The JSB chorales on a 16th grid in their published split (229, 76, 77 pieces).

    Source: Boulanger-Lewandowski et al. 2012, on the grid of Huang et al. 2017. In this file a
    held note and a repeated one look the same.

    Raises:
        UsageError: the folder does not hold the file, or its content is something else.
    """
    path = folder / BENCHMARK_FILE
    if not path.is_file():
        raise UsageError(
            f"{path}: the benchmark is not there; name the folder that holds "
            f"{BENCHMARK_FILE} with --data FOLDER"
        )
    try:
        splits = json.loads(path.read_text())
        return {
            split: [_benchmark_piece(f"jsb-{split}-{n}", rows) for n, rows in enumerate(pieces)]
            for split, pieces in ((split, splits[split]) for split in SPLITS)
        }
    except (LookupError, TypeError, ValueError, StopIteration) as error:
        raise UsageError(f"{path}: not the benchmark as it was published ({error!r})") from error


def _benchmark_piece(name: str, piece: list[list[float]]) -> Score:
    rows = [[SILENT if pitch < 0 else int(pitch) for pitch in row] for row in piece]
    if any(len(row) != VOICES or not SILENT <= max(row) <= HIGHEST_PITCH for row in rows):
        raise ValueError(f"{name} does not have four voices of MIDI notes")
    return Score(
        name=name,
        pitches=tuple(map(tuple, rows)),
        onsets=onsets_by_change(rows),
        key=key_of(rows),
        form=Form(16, 0, len(rows)),
    )


def load_chorales(
    cache: Path, held_out: dict[str, list[str]], excluded: Sequence[str] = ()
) -> Corpus:
    """Bach's four-part chorales from music21's corpus, with onsets, meter and fermatas.

    Args:
        cache: a folder for the parsed scores (parsing takes a minute or two).
        held_out: names of the pieces of ``valid`` and ``test``; the others are for training.
        excluded: names of pieces that go into no split.

    Raises:
        UsageError: the cache is damaged, or one of the named pieces is not in the corpus.
        OSError: the cache cannot be read or written.
    """
    scores = parse_cache.load_or_parse(cache / "chorales.json", _from_json, _parse_all)
    known = {score.name for score in scores}
    for purpose, names in (
        *((f"held out for {split}", names) for split, names in held_out.items()),
        ("excluded", excluded),
    ):
        if missing := sorted(set(names) - known):
            raise UsageError(f"{purpose} but not in music21's corpus: {missing}")
    corpus: Corpus = {split: [] for split in SPLITS}
    for score in scores:
        if score.name not in excluded:
            splits = (split for split, names in held_out.items() if score.name in names)
            corpus[next(splits, "train")].append(score)
    return corpus


def load_score_folders(data: Path, config: CorpusConfig, cache: Path) -> Corpus:
    """Scores in free rhythm from folders, held out by the start of their names.

    Args:
        data: the folder that holds the folders that ``config`` names.
        config: names folders and pieces.
        cache: a JSON file for the scores.

    Raises:
        UsageError: a folder, or a piece to hold out, is not there.
        OSError: the cache cannot be read or written.
    """
    corpus: Corpus = {split: [] for split in SPLITS}
    if config.pretrain_folders:
        pretrain_cache = cache.with_stem(f"{cache.stem}-{PRETRAIN}")
        corpus[PRETRAIN] = [
            score
            for score in _read_folders(data, config.pretrain_folders, pretrain_cache)
            if not score.name.startswith(tuple(config.excluded))
        ]
    held_out = {"valid": config.valid, "test": config.test}
    for score in _read_folders(data, config.folders, cache):
        if not score.name.startswith(tuple(config.excluded)):
            splits = (s for s, names in held_out.items() if score.name.startswith(tuple(names)))
            corpus[next(splits, "train")].append(score)
    for split, names in held_out.items():
        for name in names:
            if not any(score.name.startswith(name) for score in corpus[split]):
                raise UsageError(f"held out for {split} but not in {data}: {name}")
    return corpus


def _read_folders(data: Path, folders: Sequence[str], cache: Path) -> list[FreeRhythmScore]:
    paths: list[Path] = []
    for folder in folders:
        if not (data / folder).is_dir():
            raise UsageError(
                f"{data / folder}: there is no such folder of scores; --data names the folder that "
                f"holds {', '.join(folders)}"
            )
        paths += sorted(path for path in (data / folder).iterdir() if path.is_file())
    scores, refused = free_rhythm_corpus.read_files(paths, cache)
    for path, reason in refused.items():
        log.info("skipped %s: %s", path.name, reason)
    return scores


def _parse_all() -> list[Score]:
    from music21 import corpus

    paths = sorted(str(path) for path in corpus.getComposer("bach"))
    scores = [path for path in paths if path.endswith((*musicxml_reader.SUFFIXES, _HUMDRUM))]
    return parse_cache.parse_all(_parse, scores, "chorales", chunk=4)


def _parse(path: str) -> Score | str:
    """The score in a file, or the reason why it is not a four-part chorale."""
    source = Path(path)
    with tempfile.TemporaryDirectory() as folder:
        if path.endswith(_HUMDRUM):
            from music21 import converter

            source = Path(folder, f"{source.stem}.musicxml")
            converter.parse(path).write("musicxml", source, makeNotation=False)
        try:
            return to_four_parts(musicxml_reader.read(source))
        except BachboxError as error:
            return str(error)


def _from_json(entry: dict[str, Any]) -> Score:
    form = entry["form"]
    return Score(
        name=entry["name"],
        pitches=tuple(map(tuple, entry["pitches"])),
        onsets=tuple(map(tuple, entry["onsets"])),
        key=Key(*entry["key"]),
        form=Form(form[0], form[1], form[2], tuple((a, b) for a, b in form[3])),
    )


def voice_ranges(scores: Sequence[Score]) -> list[list[int]]:
    """The lowest and the highest MIDI note of each voice in these scores.

    Raises:
        ValueError: a voice has no notes.
    """
    ranges = []
    for voice in range(VOICES):
        notes = [row[voice] for score in scores for row in score.pitches if row[voice] != SILENT]
        ranges.append([min(notes), max(notes)])
    return ranges
