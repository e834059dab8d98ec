"""ABC files as notes; the tune's symbols are kept beside them for the codec of tunes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.music.codecs.abc import as_written, reader
from appliance.music.codecs.abc.as_written import WrittenTune
from appliance.music.codecs.abc.score import AbcScore
from appliance.music.codecs.abc.text import TuneText
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files.score_file import KeySignature, ScoreFile

SUFFIXES: Final = (".abc",)
_MAX_FIFTHS: Final = 7


def read(path: Path) -> ScoreFile:
    """Read the first tune of an ABC file, with its repeats played.

    The first tune that the codec of tunes can encode is taken, or else the first that can be
    played.

    Raises:
        UsageError: there is no such file, no tune in it, or none that can be read.
    """
    texts = reader.texts_of(path)
    tunes = reader.at_the_beginning(texts, reader.MAX_OPENING_CHARACTERS)
    reasons: list[str] = []
    for tune in tunes:
        try:
            score = reader.parse_tolerantly(tune, path.stem)
            written = as_written.read(tune)
        except ValueError as why:
            reasons.append(str(why))
        else:
            return _file(path, written, reader.which_tune(len(texts), reasons), score)
    return _only_played(path, tunes, len(texts), reasons)


def _only_played(path: Path, tunes: list[TuneText], count: int, why_not: list[str]) -> ScoreFile:
    """The first tune that can be played, though the codec of tunes cannot encode it.

    Args:
        path: of the file.
        tunes: those at its beginning.
        count: of all its tunes.
        why_not: why the codec cannot, for each of ``tunes``.

    Raises:
        UsageError: none can be read.
    """
    reasons: list[str] = []
    for tune, why in zip(tunes, why_not, strict=True):
        try:
            written = as_written.read(tune)
        except ValueError as error:
            reasons.append(str(error))
        else:
            found = _file(path, written, reader.which_tune(count, reasons), None)
            return replace(found, not_a_tune=why)
    raise reader.none_can_be_read(path, reasons)


def _file(path: Path, written: WrittenTune, which: list[str], score: AbcScore | None) -> ScoreFile:
    over, under = written.meters[0]
    return ScoreFile(
        name=path.stem,
        parts=(written.notes,),
        time_signatures=written.meters,
        engraved=True,
        length_ticks=written.ticks,
        first_bar_ticks=written.pickup_ticks or 4 * TICKS_PER_BEAT * over // under,
        notices=(*which, *written.notices),
        key_signature=KeySignature(written.fifths, written.minor)
        if abs(written.fifths) <= _MAX_FIFTHS
        else None,
        tune=score and replace(score, notices=(*which, *score.notices)),
    )
