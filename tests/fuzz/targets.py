"""What is fuzzed: each reader with everything that is done with its result."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from appliance.audio import soundfont
from appliance.composing import model_file
from appliance.errors import BachboxError
from appliance.music.codecs.base import Codec
from appliance.music.files import piece_embedding, score_reader

_DATA: Final = Path(__file__).parents[1] / "data"
_MODELS: Final = Path(__file__).parents[2] / "models"


class Target(NamedTuple):
    """A reader, called with files of its suffix; it may raise nothing but BachboxError."""

    suffix: str
    seeds: tuple[Path, ...]
    """Folders with files to start from."""
    read: Callable[[Path], object]

    def run(self, path: Path) -> None:
        """Read a file, whatever is in it.

        Raises:
            Exception: a finding.
        """
        with contextlib.suppress(BachboxError):
            self.read(path)


@cache
def _codec(model: str) -> Codec:
    return model_file.load(_MODELS / f"{model}.tflite").codec


def _read_by_models(path: Path) -> None:
    file = score_reader.read(path)
    for model in ("chorales", "keyboard", "strings", "folk"):
        with contextlib.suppress(BachboxError):
            _codec(model).opening(file)


_SCORES: Final = (_DATA / "brought",)

TARGETS: Final = {
    "midi": Target(".mid", _SCORES, _read_by_models),
    "abc": Target(".abc", (_DATA / "abc",), _read_by_models),
    "musicxml": Target(".musicxml", _SCORES, _read_by_models),
    "soundfont": Target(".sf2", _SCORES, soundfont.preset_names),
    "piece": Target(".mid", _SCORES, piece_embedding.read),
}
