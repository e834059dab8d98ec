"""What Bachbox makes of people's own scores: what is read, and which models can start from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from appliance.common.text import printable
from appliance.errors import BachboxError, UsageError
from appliance.music.codecs.abc import reader
from appliance.music.codecs.base import Codec
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files import abc_reader, score_reader
from appliance.music.files.score_file import ScoreFile

MAX_TRIED_CHARACTERS: Final = 150_000
"""Of a book of tunes, those that begin within so much are tried, which takes up to five seconds on
a small computer."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether a model can start from a file."""

    model: str
    usable: bool
    reason: str = ""
    """Why not."""
    notices: list[str] = []
    """What this model leaves out, beside what the whole file lacks."""


class ScoreReport(msgspec.Struct, frozen=True):
    """What was found in a file."""

    path: str
    readable: bool
    reason: str = ""
    """Why it cannot be read."""
    parts: int = 0
    notes: int = 0
    quarters: float = 0.0
    """Length of the music in quarter notes."""
    meters: list[str] = []
    pickup_quarters: float | None = None
    """Length of the pickup; None where the file does not say."""
    notices: list[str] = []
    """What was left out or not taken as it is written."""
    tunes: int = 0
    """Tunes of an ABC file that were tried."""
    tunes_left_out: list[str] = []
    """Tunes that `bachbox train` cannot use, each with its reason."""
    tunes_untried: int = 0
    """Tunes that follow them in the file."""
    models: list[Verdict] = []

    @property
    def usable(self) -> bool:
        """Whether any model can start from it."""
        return any(verdict.usable for verdict in self.models)


def score_files(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """The files that are named, with the scores in the folders that are named.

    Returns:
        The files, and how many others are in the folders.

    Raises:
        UsageError: a folder has no score in it.
    """
    files: list[Path] = []
    others = 0
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = [p for p in path.rglob("*") if not (p.is_dir() or p.name.startswith("."))]
        scores = sorted(p for p in inside if p.suffix.lower() in score_reader.SUFFIXES)
        if not scores:
            known = " ".join(score_reader.SUFFIXES)
            raise UsageError(f"there is no score in it; known: {known}", path=path)
        files += scores
        others += len(inside) - len(scores)
    return files, others


def check(path: Path, codecs: Mapping[str, Codec]) -> ScoreReport:
    """Read a file as ``--prime`` and ``bachbox train`` do.

    Args:
        path: of the file.
        codecs: of the models, by their names.
    """
    book = reader.Book([])
    if path.suffix.lower() in abc_reader.SUFFIXES:
        book = reader.read_book(path, MAX_TRIED_CHARACTERS)
    left_out = [f"{name}: {tune}" for name, tune in book.tunes if isinstance(tune, str)]
    try:
        file = score_reader.read(path)
    except UsageError as why:
        report = ScoreReport(printable(path), readable=False, reason=_reason(why))
        # Of a single tune, the reason is the same.
        if len(book.tunes) == len(left_out) <= 1:
            return report
        return msgspec.structs.replace(
            report, tunes=len(book.tunes), tunes_left_out=left_out, tunes_untried=book.untried
        )
    return ScoreReport(
        path=printable(path),
        readable=True,
        parts=len(file.parts),
        notes=sum(map(len, file.parts)),
        quarters=max((note.end for part in file.parts for note in part), default=0)
        / TICKS_PER_BEAT,
        meters=list(dict.fromkeys(f"{over}/{under}" for over, under in file.time_signatures)),
        pickup_quarters=_pickup_quarters(file),
        notices=list(file.notices),
        tunes=len(book.tunes),
        tunes_left_out=left_out,
        tunes_untried=book.untried,
        models=[_verdict(name, codec, file) for name, codec in codecs.items()],
    )


def _pickup_quarters(file: ScoreFile) -> float | None:
    if file.first_bar_ticks is None:
        return None
    over, under = next(iter(file.time_signatures), (4, 4))
    return file.first_bar_ticks % (4 * TICKS_PER_BEAT * over // under) / TICKS_PER_BEAT


def _verdict(name: str, codec: Codec, file: ScoreFile) -> Verdict:
    try:
        opening = codec.opening(file)
    except BachboxError as why:
        return Verdict(name, usable=False, reason=_reason(why))
    notices = [notice for notice in opening.notices if notice not in file.notices]
    return Verdict(name, usable=True, notices=notices)


def _reason(error: BachboxError) -> str:
    """An error without the path of the file, which stands before it anyway."""
    return printable(f"{error.message}; {error.remedy}" if error.remedy else error.message)


def lines(report: ScoreReport) -> Iterator[str]:
    """A report as lines of text."""
    if report.readable:
        yield from _facts(report)
    else:
        yield f"{report.path}: cannot be read: {report.reason}"
    for notice in report.notices:
        yield f"  {notice}"
    yield from _tunes(report)
    for verdict in report.models:
        answer = "yes" if verdict.usable else f"no: {verdict.reason}"
        notices = f" ({'; '.join(verdict.notices)})" if verdict.notices else ""
        yield f"  {verdict.model}: {answer}{notices}"


def _facts(report: ScoreReport) -> Iterator[str]:
    meter = f" in {', '.join(report.meters)}" if report.meters else ""
    facts = [
        f"{report.parts} part" + "s" * (report.parts != 1),
        f"{report.notes} note" + "s" * (report.notes != 1),
        f"{_quarter_notes(report.quarters)} long{meter}",
    ]
    if report.pickup_quarters:
        facts.append(f"pickup of {_quarter_notes(report.pickup_quarters)}")
    yield f"{report.path}: {', '.join(facts)}"


def _quarter_notes(quarters: float) -> str:
    return f"{quarters:g} quarter note" + "s" * (quarters != 1)


def _tunes(report: ScoreReport) -> Iterator[str]:
    """Which tunes of an ABC file cannot be used for training."""
    if report.tunes_left_out:
        left = len(report.tunes_left_out)
        yield f"  {left} of {report.tunes} tunes cannot be used for training:"
        for tune in report.tunes_left_out:
            yield f"    {tune}"
    if report.tunes_untried:
        total = report.tunes + report.tunes_untried
        yield (
            f"  only the first {report.tunes} of {total} tunes were tried; `bachbox train` tries "
            "all, and so does this command if you cut the book into smaller files"
        )
