"""How the outer lines move: what a model would write at every note of real pieces.

Teacher-forced, so that no error of the model adds up. A model that averages over kinds of music
that it cannot tell apart strikes the bass again several times too often, note after note, however
long the piece has shown that it does no such thing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import ModelFile
from appliance.errors import UsageError
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.codecs.free_rhythm_tokens import PITCH
from appliance.music.score import FreeRhythmScore

OCTAVE = 12
Step = Callable[[list[int]], NDArray[np.float32]]
"""A model's step: from the indices of the active inputs to the logits, ``(classes,)``."""


class Moves(NamedTuple):
    """Shares of the moves of a line, from 0 to 1."""

    top_repeats: float
    """Of the highest line: the same note again."""
    bass_repeats: float
    """Of the lowest line: the same note again."""
    bass_leaps: float
    """Of the lowest line: over more than an octave."""


class MovesOfPiece(NamedTuple):
    """What a piece does, and what the model would do where it does it."""

    name: str
    notes: int
    written: Moves
    expected: Moves


def moves_on(model: ModelFile, scores: Sequence[FreeRhythmScore]) -> list[MovesOfPiece]:
    """How the outer lines of pieces move, and how the model would go on at every note.

    Raises:
        UsageError: the model is not one of music in free rhythm.
        BachboxError: the runtime refuses the model.
    """
    codec = model.codec
    if not isinstance(codec, FreeRhythmCodec):
        raise UsageError(f"{model.name}: only music in free rhythm has lines that are counted")
    stepper = StepModel(model)
    found = []
    for score in scores:
        stepper.reset()
        found.append(moves_of(codec, stepper.step, score))
    return found


def moves_of(codec: FreeRhythmCodec, step: Step, score: FreeRhythmScore) -> MovesOfPiece:
    """How the outer lines of one piece move; ``step`` is that of a model which was just reset.

    A note is of the highest line if nothing higher sounds where it is struck, and of the lowest
    one if nothing lower does; the piece decides which notes these are.
    """
    context = codec.start(score.form, score.key)
    written, expected, moves = (np.zeros(len(Moves._fields)) for _ in range(3))
    before: list[int | None] = [None, None]
    starts = [-1, *(note.start for note in score.notes), -1]
    for token in codec.encode(score)[1]:
        logits = step(context.features()).astype(np.float64)
        if context.place == PITCH:
            number = len(context.pitches)
            pitch = codec.lowest + token - codec.first_pitch
            sounding = [*context.voices.sounding.values(), *context.struck]
            is_first = starts[number] != starts[number + 1]
            is_last = starts[number + 1] != starts[number + 2]
            lines = (
                is_first and pitch > max(sounding, default=-1),
                is_last and pitch < min(sounding, default=128),
            )
            shares = _shares(logits[codec.first_pitch : codec.first_length])
            for kind, (line, chosen) in enumerate(_chosen(codec, before)):
                if lines[line] and before[line] is not None:
                    moves[kind] += 1
                    expected[kind] += shares[chosen].sum()
                    written[kind] += pitch - codec.lowest in chosen
            before = [pitch if lines[line] else before[line] for line in range(2)]
        context.accept(token)
    moves = np.maximum(1, moves)
    return MovesOfPiece(
        score.name, len(score.notes), Moves(*written / moves), Moves(*expected / moves)
    )


def _shares(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponentials: NDArray[np.float64] = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def _chosen(
    codec: FreeRhythmCodec, before: Sequence[int | None]
) -> tuple[tuple[int, list[int]], ...]:
    """For each of :class:`Moves` its line, 0 the highest, and the notes that are such moves.

    The notes are counted from the codec's lowest; ``before`` are the last ones of both lines.
    """
    again = [[] if note is None else [note - codec.lowest] for note in before]
    bass = before[1]
    leaps = [
        pitch - codec.lowest
        for pitch in range(codec.lowest, codec.highest + 1)
        if bass is not None and abs(pitch - bass) > OCTAVE
    ]
    return (0, again[0]), (1, again[1]), (1, leaps)


def table_of(pieces: Sequence[MovesOfPiece]) -> list[str]:
    """The figures by piece and over all notes, as lines of a Markdown table, in per cent."""
    lines = [
        "| written / expected, % of the moves | top again | bass again | bass over an octave |",
        "|---|---|---|---|",
    ]
    lines += [_row(piece.name, piece.written, piece.expected) for piece in pieces]
    weights = [piece.notes for piece in pieces]
    written, expected = (
        Moves(*np.average([getattr(piece, which) for piece in pieces], axis=0, weights=weights))
        for which in ("written", "expected")
    )
    return [*lines, _row("all", written, expected)]


def _row(name: str, written: Moves, expected: Moves) -> str:
    pairs = zip(written, expected, strict=True)
    return f"| {name} | " + " | ".join(f"{100 * w:.2f} / {100 * e:.2f}" for w, e in pairs) + " |"
