"""A person's folder of scores: what can be learned from it, and what each piece is for."""

from __future__ import annotations

import hashlib
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import mido
from tqdm import tqdm

from appliance.errors import UsageError
from appliance.music.codecs.abc import reader
from appliance.music.codecs.abc.abc_codec import AbcCodec, AbcScore
from appliance.music.codecs.abc.tokens import PITCHES
from appliance.music.codecs.base import Codec
from appliance.music.files.four_part_reader import MAX_FILE_BYTES, MIDI_SUFFIXES, MUSICXML_SUFFIXES
from appliance.music.score import FreeRhythmScore
from appliance.training.data import folk_corpus, free_rhythm_corpus
from appliance.training.data.corpus import Corpus

MIN_PIECES = 4
MIN_NOTES = 500
"""Of all pieces together."""
MIN_NOTES_A_PIECE = 16
MAX_NOTES_A_PIECE = 10_000
MAX_STEPS = 9_999
"""The longest form that a model file can bring, in 16th steps."""
MAX_NOTES = 60_000
"""Of all pieces: what an evening's training, and the n-gram beside it, can take in."""
HELD_SHARE = 0.1
"""Of the pieces, for each of the two splits that are held out."""
HINTS_FROM = 20
"""Files that are asked for their tempo and instrument."""
TEMPO_BPM = (40.0, 240.0)
DRUMS = 9


@dataclass(frozen=True)
class Kind:
    """A kind of score files, and how a model learns from them."""

    codec_name: Literal["lines", "abc"]
    suffixes: tuple[str, ...]
    read: Callable[[Sequence[Path], Path], tuple[list[Any], dict[Path, str]]]
    """The scores of files, and why the others cannot be read; the second argument is a cache."""
    codec: Callable[[Sequence[Any]], Codec]
    notes: Callable[[Any], int]
    told: Callable[[Any], object]
    """The music itself, the same in whatever key."""
    families: Callable[[Sequence[Any]], list[list[Any]]]
    """Pieces that must not be on different sides of the split, together."""
    tempo_bpm: float
    instrument: int
    """Both where no file says any; a General MIDI program."""
    temperature: float

    def fingerprint(self, score: Any) -> str:
        """Of the music in a score."""
        return hashlib.sha256(repr(self.told(score)).encode()).hexdigest()


def _intervals(score: FreeRhythmScore) -> object:
    first = score.notes[0].pitch
    return [(note.start, note.length, note.pitch - first) for note in score.notes]


def _read_abc(paths: Sequence[Path], cache: Path) -> tuple[list[AbcScore], dict[Path, str]]:
    """Every tune in files of ABC."""
    del cache  # it takes no longer to parse them
    scores: list[AbcScore] = []
    refused: dict[Path, str] = {}
    with ProcessPoolExecutor() as pool:
        outcomes = tqdm(pool.map(_read_tunes, paths, chunksize=8), "reading", len(paths))
        for path, outcome in zip(paths, outcomes, strict=True):
            for name, tune in outcome:
                if isinstance(tune, AbcScore):
                    scores.append(tune)
                else:
                    refused[path.with_name(f"{path.name}{name}")] = tune
    return scores, refused


def _read_tunes(path: Path) -> list[tuple[str, AbcScore | str]]:
    """The tunes of a file, or why there is none, each with what is to be said after its name."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return [("", "larger than 16 MiB, which no score of ours needs")]
        texts = reader.tunes(path.read_text("utf-8", "replace"))
    except OSError as why:
        return [("", f"cannot read it: {why.strerror}")]
    found: list[tuple[str, AbcScore | str]] = []
    for number, text in enumerate(texts, 1):
        title = re.search(r"(?m)^T:(.*)", text)
        name = title[1].strip() if title else f"{path.stem} {number}"
        try:
            found.append((name, reader.parse(text, name)))
        except ValueError as why:
            found.append(("" if len(texts) == 1 else f", tune {number}", str(why)))
    return found or [("", "no tune is in it (one begins with a line X:1)")]


LINES = Kind(
    codec_name="lines",
    suffixes=MIDI_SUFFIXES + MUSICXML_SUFFIXES,
    read=free_rhythm_corpus.read,
    codec=free_rhythm_corpus.codec_for,
    notes=lambda score: len(score.notes),
    told=_intervals,
    families=lambda scores: [[score] for score in scores],
    tempo_bpm=96,
    instrument=0,
    temperature=0.9,
)
TUNES = Kind(
    codec_name="abc",
    suffixes=(".abc",),
    read=_read_abc,
    codec=lambda scores: AbcCodec(),
    notes=lambda score: sum(sign in PITCHES for sign in score.signs),
    told=lambda score: score.signs,
    # Menuet 3 is another one than Menuet 4.
    families=lambda scores: folk_corpus.families(scores, lambda score: str(score.name).casefold()),
    tempo_bpm=190,
    instrument=40,
    temperature=0.8,
)
KINDS = (LINES, TUNES)


@dataclass(frozen=True)
class Folder:
    """What was found in a folder.

    Attributes:
        kind: of most of its files.
        scores: split by piece.
        left_out: files and pieces that are not used, and why.
        notes: of all pieces that are used.
        tempo_bpm, instrument: as most files have it.
        fingerprint: of all the music that is used.
    """

    kind: Kind
    scores: Corpus
    left_out: list[tuple[str, str]]
    notes: int
    tempo_bpm: float
    instrument: int
    fingerprint: str


class TooLittleError(UsageError):
    """There are not enough pieces; ``left_out`` as in :class:`Folder`."""

    def __init__(self, sentence: str, left_out: list[tuple[str, str]]) -> None:
        super().__init__(sentence)
        self.left_out = left_out


def read(folder: Path, cache: Path) -> Folder:
    """Read everything in a folder and in the folders in it.

    Args:
        folder: with MIDI, MusicXML or ABC files.
        cache: a JSON file for what was read.

    Raises:
        UsageError: there is no such folder, or nothing in it.
        TooLittleError: what is in it is not enough.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    if not files:
        raise UsageError(f"{folder}: there is no file in it")
    of_kind = {kind: [p for p in files if p.suffix.lower() in kind.suffixes] for kind in KINDS}
    kind = max(KINDS, key=lambda kind: len(of_kind[kind]))
    paths = of_kind[kind]
    known = {suffix for each in KINDS for suffix in each.suffixes}
    left_out = []
    for path in sorted({*files} - {*paths}):
        why = f"no score; known are {' '.join(sorted(known))}"
        if path.suffix.lower() in known:
            why = f"most files here are {' '.join(kind.suffixes)}, and this is not"
        left_out.append((str(path.relative_to(folder)), why))
    found, refused = kind.read(paths, cache)
    for path, why in refused.items():
        left_out.append((str(path.relative_to(folder)), why.removeprefix(f"{path}: ")))
    scores, unused = _usable(kind, found)
    left_out += unused
    families = kind.families([*scores.values()])
    notes = sum(kind.notes(score) for family in families for score in family)
    if len(families) < MIN_PIECES or notes < MIN_NOTES:
        raise TooLittleError(
            f"{folder}: {len(families)} different pieces with {notes} notes can be used, and at "
            f"least {MIN_PIECES} pieces with {MIN_NOTES} notes are needed, because some are "
            "kept from the training to judge it by",
            left_out,
        )
    tempo_bpm, instrument = _hints(kind, [path for path in paths if path not in refused])
    return Folder(
        kind=kind,
        scores=split(kind, families),
        left_out=left_out,
        notes=notes,
        tempo_bpm=tempo_bpm,
        instrument=instrument,
        fingerprint=hashlib.sha256("".join(sorted(scores)).encode()).hexdigest(),
    )


def _usable(kind: Kind, found: Sequence[Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Scores by their fingerprint, and the others' names and why they are left out."""
    scores: dict[str, Any] = {}
    left_out: list[tuple[str, str]] = []
    for score in found:
        notes, mark = kind.notes(score), kind.fingerprint(score)
        if notes < MIN_NOTES_A_PIECE:
            left_out.append((score.name, f"only {notes} notes"))
        elif notes > MAX_NOTES_A_PIECE or score.form.steps > MAX_STEPS:
            bars = score.form.steps // score.form.bar_steps
            why = f"too long ({notes} notes, {bars} bars); cut it into movements"
            left_out.append((score.name, why))
        elif mark in scores:
            left_out.append((score.name, f"the same music as {scores[mark].name}"))
        else:
            scores[mark] = score
    total = 0
    for mark in sorted(scores):
        total += kind.notes(scores[mark])
        if total > MAX_NOTES:
            why = f"there are {MAX_NOTES} notes without it, and no more are used"
            left_out.append((scores.pop(mark).name, why))
    return scores, left_out


def split(kind: Kind, families: Sequence[Sequence[Any]]) -> Corpus:
    """Families of pieces into train, valid and test, at least one held out for each.

    What a piece is for depends on the music alone, not on file names or the order of reading.
    """
    ordered = sorted(families, key=lambda family: kind.fingerprint(family[0]))
    held = max(1, round(HELD_SHARE * len(ordered)))
    sides = {
        "test": ordered[:held],
        "valid": ordered[held : 2 * held],
        "train": ordered[2 * held :],
    }
    return {side: [score for family in those for score in family] for side, those in sides.items()}


def _hints(kind: Kind, paths: Sequence[Path]) -> tuple[float, int]:
    """Tempo and instrument of most MIDI files."""
    tempos: list[float] = []
    programs: Counter[int] = Counter()
    for path in [p for p in paths if p.suffix.lower() in MIDI_SUFFIXES][:HINTS_FROM]:
        messages = [m for track in mido.MidiFile(path, clip=True).tracks for m in track]
        first = next((m.tempo for m in messages if m.type == "set_tempo" and m.tempo), None)
        if first:
            tempos.append(mido.tempo2bpm(first))
        programs.update(
            {m.program for m in messages if m.type == "program_change" and m.channel != DRUMS}
        )
    tempo_bpm = float(round(statistics.median(tempos))) if tempos else kind.tempo_bpm
    tempo_bpm = min(max(tempo_bpm, TEMPO_BPM[0]), TEMPO_BPM[1])
    return tempo_bpm, programs.most_common(1)[0][0] if programs else kind.instrument
