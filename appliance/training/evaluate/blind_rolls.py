"""Composed and real pieces side by side, for eyes that do not know which is which.

Both went through the codec and stand on the printed page, halves that are played twice written
once, all on C: the pieces of a suite are in one key. The real ones are test pieces, which no model
has seen.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from appliance.composing import model_file
from appliance.composing.composer import Composer
from appliance.music.codecs.base import Codec
from appliance.training import recipe
from appliance.training.data.corpus import load_corpus
from appliance.training.evaluate.finished_pieces import (
    FinishedPiece,
    compose_pieces,
    decode_piece,
)
from appliance.training.evaluate.piano_rolls import PianoRoll, draw

PIECES = 6
"""Of each kind."""
BEATS = 48
"""How much of each piece is drawn."""


def draw_both(path: Path, seed: int, data: Path | None, folder: Path) -> Path:
    """Draw six composed and six real pieces in an order drawn by lot.

    Args:
        path: of the model file, with its recipe beside it.
        seed: of the music, of the choice of the real pieces and of the order.
        data: the folder with scores that are not in music21, or None.
        folder: for the picture ``NAME-blind.png`` and the answers in ``NAME-blind.txt``.

    Returns:
        the path of the picture.

    Raises:
        UsageError: the recipe or the scores are not there.
        BachboxError: the model file cannot be loaded, or the runtime refuses the model.
        OSError: a file cannot be written.
    """
    model = model_file.load(path)
    composer = Composer(model, seed=seed, repeats=False)
    composed = [piece for piece, _ in islice(compose_pieces(composer), PIECES)]
    rng = np.random.default_rng(seed)
    real = _test_pieces(model.codec, path, data, folder.parent, rng)
    labelled = [*((piece, "composed") for piece in composed), *((piece, "real") for piece in real)]
    order = [labelled[place] for place in rng.permutation(len(labelled))]
    answers = "".join(f"{number} {kind}\n" for number, (_, kind) in enumerate(order, 1))
    (folder / f"{model.name}-blind.txt").write_text(answers)
    picture = folder / f"{model.name}-blind.png"
    rolls = [
        PianoRoll(str(number), [_on_c(piece)], [0.0]) for number, (piece, _) in enumerate(order, 1)
    ]
    draw(rolls, picture, max_beats=BEATS, dpi=100, row_inches=2.0, same_scale=True)
    return picture


def _on_c(piece: FinishedPiece) -> FinishedPiece:
    """The piece with the tonic C, moved by half an octave at most."""
    return piece.transposed((6 - piece.key.tonic) % 12 - 6)


def _test_pieces(
    codec: Codec, path: Path, data: Path | None, cache: Path, rng: np.random.Generator
) -> list[FinishedPiece]:
    """Real pieces that the model has not seen, drawn by lot."""
    scores = load_corpus(recipe.load(path.with_suffix(".toml")), data, cache)["test"]
    return [
        decode_piece(
            codec, codec.encode(scores[n])[1], scores[n].form, scores[n].key, repeats=False
        )
        for n in rng.choice(len(scores), min(PIECES, len(scores)), replace=False)
    ]
