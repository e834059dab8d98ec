"""A user's folder of scores: which pieces can be used, and in which split each of them is."""

from __future__ import annotations

import hashlib
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import mido
from tqdm import tqdm

from appliance.errors import UsageError
from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.abc_codec import AbcCodec
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.tokens import PITCHES
from appliance.music.codecs.base import Codec
from appliance.music.files import midi_reader, midi_repair, musicxml_reader
from appliance.music.limits import TEMPO_BPM
from appliance.music.score import FreeRhythmScore
from appliance.training.data import folk_corpus, free_rhythm_corpus, piece_facts
from appliance.training.data.corpus import Corpus

MIN_PIECES = 4
MIN_TOTAL_NOTES = 500
MIN_NOTES_PER_PIECE = 16
MAX_NOTES_PER_PIECE = 10_000
MAX_STEPS = 9_999
"""The longest form that a model file can hold, in 16th steps."""
MAX_TOTAL_NOTES = 60_000
"""As much as the training of an evening, and the n-gram, can handle."""
HELD_OUT_SHARE = 0.1
"""The share of the pieces that is held out, for valid and for test each."""
MAX_FILES_FOR_DEFAULTS = 20
"""How many MIDI files, from the first on, tempo and instrument are taken from."""

Skipped = list[tuple[str, str]]
"""Names of files and pieces that are not used, each with the reason."""


@dataclass(frozen=True)
class ScoreFormat:
    """A kind of score files, and how a model learns from them.

    Attributes:
        codec_name: of the codec that encodes these scores.
        title: what people call such files, in the plural.
        suffixes: of the files, in lower case, with their dots.
        read_files: reads files, given a path for a cache; returns the scores, and for each file
            that could not be read the reason why.
        make_codec: a codec for scores.
        count_notes: of a score.
        content: the music of a score, the same whatever its key and its name.
        group_families: groups scores that must be in the same split.
        tempo_bpm, instrument: where no file states them; a General MIDI program, from 0.
        temperature: the default of the model.
    """

    codec_name: Literal["lines", "abc"]
    title: str
    suffixes: tuple[str, ...]
    read_files: Callable[[Sequence[Path], Path], tuple[list[Any], dict[Path, str]]]
    make_codec: Callable[[Sequence[Any]], Codec]
    count_notes: Callable[[Any], int]
    content: Callable[[Any], object]
    group_families: Callable[[Sequence[Any]], list[list[Any]]]
    tempo_bpm: float
    instrument: int
    temperature: float

    def fingerprint(self, score: Any) -> str:
        """A hash of the music in a score, in hexadecimal."""
        return hashlib.sha256(repr(self.content(score)).encode()).hexdigest()


def _intervals(score: FreeRhythmScore) -> object:
    first = score.notes[0].pitch
    return [(note.start, note.length, note.pitch - first) for note in score.notes]


def _read_abc_files(paths: Sequence[Path], cache: Path) -> tuple[list[AbcScore], dict[Path, str]]:
    """Every tune in ABC files. Parsing is as fast as a cache would be, so ``cache`` is not used."""
    del cache
    scores: list[AbcScore] = []
    refused: dict[Path, str] = {}
    with ProcessPoolExecutor() as pool:
        outcomes = tqdm(pool.map(reader.read_book, paths, chunksize=8), "reading", len(paths))
        for path, outcome in zip(paths, outcomes, strict=True):
            for name, tune in outcome.tunes:
                if isinstance(tune, AbcScore):
                    kind = piece_facts.kind_of_tune(f"T:{name}", tune.form)
                    scores.append(piece_facts.with_facts(replace(tune, name=name), kind))
                elif len(outcome.tunes) == 1:
                    refused[path] = tune
                else:
                    refused[path.with_name(f"{path.name}, {name.replace('/', '-')}")] = tune
    return scores, refused


FREE_RHYTHM = ScoreFormat(
    codec_name="lines",
    title="MIDI and MusicXML files",
    suffixes=midi_reader.SUFFIXES + musicxml_reader.SUFFIXES,
    read_files=free_rhythm_corpus.read_files,
    make_codec=free_rhythm_corpus.codec_for,
    count_notes=lambda score: len(score.notes),
    content=_intervals,
    group_families=lambda scores: [[score] for score in scores],
    tempo_bpm=96,
    instrument=0,
    temperature=0.9,
)
ABC = ScoreFormat(
    codec_name="abc",
    title="ABC files",
    suffixes=(".abc",),
    read_files=_read_abc_files,
    make_codec=lambda scores: AbcCodec(),
    count_notes=lambda score: sum(symbol in PITCHES for symbol in score.symbols),
    content=lambda score: score.symbols,
    # Titles with their numbers: "Menuet 3" and "Menuet 4" are two tunes.
    group_families=lambda scores: folk_corpus.group_families(
        scores, lambda score: str(score.name).casefold()
    ),
    tempo_bpm=190,
    instrument=40,
    temperature=0.8,
)
FORMATS = (FREE_RHYTHM, ABC)


@dataclass(frozen=True)
class ScoreFolder:
    """The usable pieces of a folder.

    Attributes:
        format: of most of its files.
        corpus: the pieces, split.
        skipped: files and pieces that are not used, with the reasons.
        notices: pieces that are used, each with something that was left out of it or interpreted.
        note_count: of all pieces that are used.
        tempo_bpm, instrument: the median and the most frequent one of the files.
        fingerprint: a hash of all the music that is used.
    """

    format: ScoreFormat
    corpus: Corpus
    skipped: Skipped
    notices: Skipped
    note_count: int
    tempo_bpm: float
    instrument: int
    fingerprint: str


class NotEnoughMusicError(UsageError):
    """A folder has too few usable pieces or notes; ``skipped`` says what was not usable."""

    def __init__(self, message: str, skipped: Skipped) -> None:
        super().__init__(message)
        self.skipped = skipped


def read_folder(folder: Path, cache: Path) -> ScoreFolder:
    """Read all scores in a folder and its subfolders.

    Args:
        folder: has MIDI, MusicXML or ABC files.
        cache: a JSON file for the scores.

    Raises:
        UsageError: the folder does not exist or is empty.
        NotEnoughMusicError: its music is not enough for a training.
        OSError: the cache cannot be read or written.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    files, skipped = _files(folder)
    if not files:
        raise UsageError(f"{folder}: there is no file in it")
    score_format, paths, others = _choose_format(folder, files)
    skipped += others
    found, refused = score_format.read_files(paths, cache)
    for path, reason in refused.items():
        skipped.append((str(path.relative_to(folder)), reason.removeprefix(f"{path}: ")))
    scores, unusable = _usable(score_format, found)
    skipped += unusable
    families = score_format.group_families([*scores.values()])
    note_count = sum(score_format.count_notes(score) for family in families for score in family)
    if len(families) < MIN_PIECES or note_count < MIN_TOTAL_NOTES:
        raise NotEnoughMusicError(
            f"{folder}: it has {len(families)} different usable pieces with {note_count} notes; "
            f"training needs at least {MIN_PIECES} pieces with {MIN_TOTAL_NOTES} notes, because "
            "some are held out to evaluate the model",
            skipped,
        )
    tempo_bpm, instrument = _defaults(score_format, [p for p in paths if p not in refused])
    return ScoreFolder(
        format=score_format,
        corpus=split(score_format, families),
        skipped=skipped,
        notices=[
            (score.name, notice)
            for family in families
            for score in family
            for notice in getattr(score, "notices", ())
        ],
        note_count=note_count,
        tempo_bpm=tempo_bpm,
        instrument=instrument,
        fingerprint=hashlib.sha256("".join(sorted(scores)).encode()).hexdigest(),
    )


def _files(folder: Path) -> tuple[list[Path], Skipped]:
    """The files in a folder and its subfolders, and what else is there, with the reasons.

    Hidden files are no user's scores.
    """
    files: list[Path] = []
    skipped: Skipped = []
    for path in sorted(p for p in folder.rglob("*") if not p.name.startswith(".")):
        name = str(path.relative_to(folder))
        if path.is_file():
            files.append(path)
        elif path.is_symlink() and path.is_dir():
            skipped.append((name, "a link to a folder, which is not followed"))
        elif path.is_symlink():
            skipped.append((name, "a link to a file that is not there"))
        elif not path.is_dir():
            skipped.append((name, "not a file"))
    return files, skipped


def _choose_format(folder: Path, files: Sequence[Path]) -> tuple[ScoreFormat, list[Path], Skipped]:
    """The format of most files, the files of that format, and the others with the reasons."""
    by_format = {
        score_format: [path for path in files if path.suffix.lower() in score_format.suffixes]
        for score_format in FORMATS
    }
    chosen = max(FORMATS, key=lambda score_format: len(by_format[score_format]))
    known = {suffix for score_format in FORMATS for suffix in score_format.suffixes}
    skipped = []
    for path in sorted({*files} - {*by_format[chosen]}):
        reason = f"not a score; the known formats are {' '.join(sorted(known))}"
        if path.suffix.lower() in known:
            reason = f"most files here are {' '.join(chosen.suffixes)}, and this one is not"
        skipped.append((str(path.relative_to(folder)), reason))
    return chosen, by_format[chosen], skipped


def _usable(score_format: ScoreFormat, found: Sequence[Any]) -> tuple[dict[str, Any], Skipped]:
    """Usable scores by their fingerprints, and the names of the others with the reasons."""
    scores: dict[str, Any] = {}
    skipped: Skipped = []
    for score in found:
        notes, fingerprint = score_format.count_notes(score), score_format.fingerprint(score)
        if notes < MIN_NOTES_PER_PIECE:
            skipped.append((score.name, f"only {notes} notes"))
        elif notes > MAX_NOTES_PER_PIECE or score.form.steps > MAX_STEPS:
            bars = score.form.steps // score.form.bar_steps
            reason = f"too long ({notes} notes, {bars} bars); cut it into movements"
            skipped.append((score.name, reason))
        elif fingerprint in scores:
            skipped.append((score.name, f"the same music as {scores[fingerprint].name}"))
        else:
            scores[fingerprint] = score
    total = 0
    for fingerprint in sorted(scores):
        total += score_format.count_notes(scores[fingerprint])
        if total > MAX_TOTAL_NOTES:
            reason = f"the other pieces have {MAX_TOTAL_NOTES} notes already, which is the limit"
            skipped.append((scores.pop(fingerprint).name, reason))
    return scores, skipped


def split(score_format: ScoreFormat, families: Sequence[Sequence[Any]]) -> Corpus:
    """Split families of pieces into train, valid and test, with at least one family in each.

    The split depends on the music only, not on file names or on the order of the files.
    """
    ordered = sorted(families, key=lambda family: score_format.fingerprint(family[0]))
    held_out = max(1, round(HELD_OUT_SHARE * len(ordered)))
    splits = {
        "test": ordered[:held_out],
        "valid": ordered[held_out : 2 * held_out],
        "train": ordered[2 * held_out :],
    }
    return {
        name: [score for family in families_in_split for score in family]
        for name, families_in_split in splits.items()
    }


def _defaults(score_format: ScoreFormat, paths: Sequence[Path]) -> tuple[float, int]:
    """Median tempo in BPM and most frequent program of the MIDI files."""
    tempos: list[float] = []
    programs: Counter[int] = Counter()
    midi_paths = [path for path in paths if path.suffix.lower() in midi_reader.SUFFIXES]
    for path in midi_paths[:MAX_FILES_FOR_DEFAULTS]:
        midi = midi_repair.load(path.read_bytes())
        messages = [m for track in midi.file.tracks for m in track]
        tempo = next((m.tempo for m in messages if m.type == "set_tempo" and m.tempo), None)
        if tempo:
            tempos.append(mido.tempo2bpm(tempo))
        programs.update(
            {
                m.program
                for m in messages
                if m.type == "program_change" and m.channel not in midi.drum_channels
            }
        )
    tempo_bpm = float(round(statistics.median(tempos))) if tempos else score_format.tempo_bpm
    tempo_bpm = min(max(tempo_bpm, TEMPO_BPM.low), TEMPO_BPM.high)
    return tempo_bpm, programs.most_common(1)[0][0] if programs else score_format.instrument
