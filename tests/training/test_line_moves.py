"""How the outer lines move, on models that know nothing or everything."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.composing import model_file
from appliance.errors import UsageError
from appliance.music.score import FreeRhythmScore
from appliance.training.evaluate.line_moves import Moves, MovesOfPiece, moves_of, moves_on, table_of
from tests.music.codecs.test_free_rhythm import CODEC, score_of
from tests.support.making_music import MODEL

PIECE = score_of(
    *[(n * 480, 480, pitch) for n, pitch in enumerate((72, 72, 74, 76))],
    *[(n * 480, 480, pitch) for n, pitch in enumerate((48, 48, 62, 48))],
)


def knowing(score: FreeRhythmScore) -> MovesOfPiece:
    tokens = iter(CODEC.encode(score)[1])

    def step(active: list[int]) -> NDArray[np.float32]:
        logits = np.zeros(CODEC.classes, np.float32)
        logits[next(tokens)] = 99
        return logits

    return moves_of(CODEC, step, score)


def test_a_model_that_knows_the_piece_moves_as_the_piece_does() -> None:
    found = knowing(PIECE)
    assert found.notes == 8
    assert found.written == Moves(1 / 3, 1 / 3, 2 / 3)
    assert np.allclose(found.expected, found.written)


def test_a_bass_that_is_held_is_not_struck_again() -> None:
    held = score_of((0, 960, 48), (0, 480, 60), (480, 480, 60))
    assert knowing(held).written == Moves(1, 0, 0)


def test_a_model_that_knows_nothing_gives_every_note_its_share() -> None:
    found = moves_of(CODEC, lambda active: np.zeros(CODEC.classes, np.float32), PIECE)
    assert found.written == knowing(PIECE).written
    assert found.expected.top_repeats == pytest.approx(1 / CODEC.pitches)
    assert found.expected.bass_repeats == pytest.approx(1 / CODEC.pitches)


def test_the_table_has_a_row_for_every_piece_and_one_for_all_notes() -> None:
    pieces = [
        MovesOfPiece("a", 30, Moves(0.1, 0, 0), Moves(0.2, 0, 0)),
        MovesOfPiece("b", 10, Moves(0.5, 0, 0), Moves(0.2, 0, 0)),
    ]
    _, _, a, b, total = table_of(pieces)
    assert a.startswith("| a | 10.00 / 20.00 |")
    assert b.startswith("| b | 50.00 / 20.00 |")
    assert total.startswith("| all | 20.00 / 20.00 |")


def test_other_music_has_no_such_lines() -> None:
    with pytest.raises(UsageError, match="chorales: only music in free rhythm"):
        moves_on(model_file.load(MODEL), [])
