"""What is fuzzed: each reader with everything that is done with its result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from appliance.audio import soundfont
from appliance.composing import model_file
from appliance.errors import BachboxError
from appliance.music.codecs.base import Codec
from appliance.music.events import TICKS_PER_BEAT
from appliance.music.files import piece_embedding, score_reader
from appliance.music.files.score_file import MAX_BEATS, MAX_NOTES, ScoreFile
from appliance.music.melody import melody_of
from appliance.offline import replay, soundfont_report
from appliance.offline.output_files import OutputFile, write_piece
from tests.fuzz import mutators

_SEEDS: Final = Path(__file__).parent / "seeds"
KEPT: Final = _SEEDS / "kept.zip"
"""Inputs that reached new code, in a folder for each reader."""
_DATA: Final = Path(__file__).parents[1] / "data"
_MODELS: Final = Path(__file__).parents[2] / "models"
_SOPRANO: Final = (57, 81)


class Target(NamedTuple):
    """A reader, called with files of its suffix; it may raise nothing but BachboxError."""

    suffix: str
    seeds: tuple[Path, ...]
    """Folders with files to start from."""
    read: Callable[[Path], object]
    mutate: Callable[[bytes, int, int], bytes] | None = None
    """How a file is changed; by default, its bytes are."""
    dictionary: Path | None = None
    """What libFuzzer puts into files."""

    def run(self, path: Path) -> None:
        """Read a file, whatever is in it.

        Raises:
            Exception: a finding.
        """
        with contextlib.suppress(BachboxError):
            self.read(path)


@cache
def codecs() -> dict[str, Codec]:
    """The codec of every model, by its name."""
    return {path.stem: model_file.load(path).codec for path in sorted(_MODELS.glob("*.tflite"))}


def _score(path: Path) -> None:
    """Read a score for everything that takes one: ``--prime`` of every model, and ``--melody``."""
    file = score_reader.read(path)
    _check_score(file)
    for codec in codecs().values():
        with contextlib.suppress(BachboxError):
            "".join(codec.opening(file).notices).encode()
    melody_of(file, *_SOPRANO)


def _check_score(file: ScoreFile) -> None:
    """Check what holds of every score that is read."""
    notes = [note for part in file.parts for note in part]
    assert len(notes) <= 2 * MAX_NOTES, "too many notes"
    for note in notes:
        assert 0 <= note.start < note.end <= MAX_BEATS * TICKS_PER_BEAT, f"{note} has no place"
        assert 0 <= note.pitch < 128, f"{note} is no MIDI note"
    for part in file.parts:
        assert [n.start for n in part] == sorted(n.start for n in part), "notes are not in order"
    "".join((*file.notices, *file.part_names, *file.titles, file.not_a_tune)).encode()
    assert all(over > 0 and under > 0 for over, under in file.time_signatures), "a meter of zero"


def _soundfont(path: Path) -> None:
    names = soundfont.preset_names(path)
    assert names, "no preset, and no error"
    ", ".join(soundfont_report.listed(names)).encode()
    soundfont.nearest_preset(names, 19)


def _soundfont_report(path: Path) -> None:
    """Read, load and play a soundfont as ``bachbox check`` does."""
    for report in soundfont_report.check([path]):
        msgspec.json.encode(report)
        "\n".join(soundfont_report.lines(report)).encode()


def _piece(path: Path) -> None:
    """Read a piece and write it again, as ``render --replay`` does."""
    piece = piece_embedding.read(path)
    timeline = replay.timeline_of(piece, 50)
    f"{piece.title}{piece.description}".encode()
    events = list(piece.events())
    for suffix in (".mid", ".musicxml"):
        written = path.with_name(f"written{suffix}")
        write_piece(OutputFile(written, written), piece, events, timeline)


_SCORES: Final = (_DATA / "brought",)

TARGETS: Final = {
    "midi": Target(
        ".mid", (_DATA / "brought", _SEEDS / "midi"), _score, dictionary=_SEEDS / "midi.dict"
    ),
    "abc": Target(".abc", (_DATA / "abc", _SEEDS / "abc"), _score, dictionary=_SEEDS / "abc.dict"),
    "musicxml": Target(".musicxml", (_DATA / "brought", _SEEDS / "musicxml"), _score, mutators.xml),
    "mxl": Target(".mxl", (_SEEDS / "mxl",), _score, mutators.archive),
    "soundfont": Target(".sf2", (_SEEDS / "soundfont",), _soundfont, mutators.riff),
    "soundfont-report": Target(".sf2", (_SEEDS / "soundfont",), _soundfont_report, mutators.riff),
    "piece": Target(".mid", (_SEEDS / "piece",), _piece, mutators.record),
}
