"""The usual tutorial network as a baseline for ``strings``.

    python -m appliance.training.evaluate.window_baseline --data FOLDER

Tutorials on composing like Bach use two LSTM layers of 300 over a window of the last 40 pitches,
which is run again for every note. Here this network trains on the same pieces as ``strings`` and
predicts the next pitch in the same held-out pieces, and so do an n-gram of pitches and the shipped
model. The shipped model knows when the note starts, because that is the token before its pitch;
the others know nothing of rhythm.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from appliance.composing import model_file
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import ModelFile
from appliance.errors import BachboxError, UsageError
from appliance.music.codecs.free_rhythm import FreeRhythmCodec
from appliance.music.codecs.free_rhythm_tokens import PITCH
from appliance.music.score import FreeRhythmScore
from appliance.training import recipe
from appliance.training.cpu_budget import CpuBudget
from appliance.training.data import corpus
from appliance.training.evaluate.ngram import CONTEXT_LENGTHS, NGram

log = logging.getLogger(__name__)

WINDOW_NOTES = 40
HIDDEN = 300
PITCHES = 128
BATCH_SIZE = 32
LEARNING_RATE = 3e-3
"""Of this and 1e-3, the default of Keras, the one that lowers the training loss faster."""
EVALUATION_BATCH_SIZE = 512
TRANSPOSITIONS = range(-5, 7)
RECIPE = Path("models/strings.toml")

Pitches = NDArray[np.int64]


class PitchScore(NamedTuple):
    """How well the next pitch is predicted.

    Attributes:
        nll: mean negative log-likelihood in nats per note.
        accuracy: the share of notes whose most likely pitch was the right one.
    """

    nll: float
    accuracy: float


def pitches_of(score: FreeRhythmScore) -> list[int]:
    """The MIDI notes of a piece in order, without their times."""
    return [note.pitch for note in score.notes]


def make_windows(scores: Sequence[FreeRhythmScore]) -> tuple[Pitches, Pitches]:
    """Every run of ``WINDOW_NOTES`` pitches within a piece, and the pitch after each.

    Returns:
        int64 arrays ``(windows, WINDOW_NOTES)`` and ``(windows,)``.
    """
    windows: list[list[int]] = []
    targets: list[int] = []
    for score in scores:
        pitches = pitches_of(score)
        for place in range(WINDOW_NOTES, len(pitches)):
            windows.append(pitches[place - WINDOW_NOTES : place])
            targets.append(pitches[place])
    return np.array(windows, np.int64).reshape(-1, WINDOW_NOTES), np.array(targets, np.int64)


def score_window_lstm(
    train: Sequence[FreeRhythmScore],
    test: Sequence[FreeRhythmScore],
    budget_s: float,
    seed: int = 1,
) -> PitchScore:
    """Train the tutorial network for some processor time, and score it.

    As in the tutorials, the pieces are not transposed.

    Args:
        train: the pieces to learn from.
        test: the pieces to score.
        budget_s: processor time in seconds.
        seed: of the weights and the batches.
    """
    network = _train_window_lstm(*make_windows(train), budget_s, seed)
    return _score_window_lstm(network, *make_windows(test))


def _train_window_lstm(windows: Pitches, targets: Pitches, budget_s: float, seed: int) -> Any:
    import torch
    from torch import nn

    class WindowNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(PITCHES, HIDDEN, num_layers=2, batch_first=True)
            self.out = nn.Linear(HIDDEN, PITCHES)

        def forward(self, window: torch.Tensor) -> torch.Tensor:
            hidden, _ = self.lstm(nn.functional.one_hot(window, PITCHES).float())
            return self.out(hidden[:, -1])

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = WindowNetwork()
    optimizer = torch.optim.Adam(network.parameters())
    budget = CpuBudget(budget_s)
    updates = 0
    while budget.spent_share < 1 or not updates:
        with budget.spend():
            batch = rng.integers(len(targets), size=BATCH_SIZE)
            for group in optimizer.param_groups:
                group["lr"] = budget.learning_rate(LEARNING_RATE)
            # bfloat16 makes a third more updates in the same time, but they gain less.
            logits = network(torch.tensor(windows[batch]))
            loss = nn.functional.cross_entropy(logits, torch.tensor(targets[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
    epochs = updates * BATCH_SIZE / len(targets)
    log.info("the tutorial network: %d updates, %.1f epochs", updates, epochs)
    return network


def _score_window_lstm(network: Any, windows: Pitches, targets: Pitches) -> PitchScore:
    import torch
    from torch import nn

    nll, right = 0.0, 0
    with torch.no_grad():
        for first in range(0, len(targets), EVALUATION_BATCH_SIZE):
            batch = slice(first, first + EVALUATION_BATCH_SIZE)
            logits, target = network(torch.tensor(windows[batch])), torch.tensor(targets[batch])
            nll += nn.functional.cross_entropy(logits, target, reduction="sum").item()
            right += int((logits.argmax(1) == target).sum())
    return PitchScore(nll / len(targets), right / len(targets))


def score_ngram(
    train: Sequence[FreeRhythmScore],
    valid: Sequence[FreeRhythmScore],
    test: Sequence[FreeRhythmScore],
) -> tuple[int, PitchScore]:
    """The n and the score of the n-gram of pitches that does best on the valid pieces."""
    transposed = [[p + shift for p in pitches_of(s)] for s in train for shift in TRANSPOSITIONS]
    in_range = [p for p in transposed if min(p) >= 0 and max(p) < PITCHES]
    candidates = []
    for length in CONTEXT_LENGTHS:
        model = NGram(PITCHES, 1, length)
        model.learn(in_range)
        candidates.append((sum(model.nll(pitches_of(score)) for score in valid), length, model))
    _, length, best = min(candidates, key=lambda candidate: candidate[0])
    nll, right, notes = 0.0, 0, 0
    for score in test:
        pitches = pitches_of(score)
        for place in range(WINDOW_NOTES, len(pitches)):
            probabilities = best.probabilities(pitches, place)
            nll -= float(np.log(probabilities[pitches[place]]))
            right += int(probabilities.argmax() == pitches[place])
            notes += 1
    return length + 1, PitchScore(nll / notes, right / notes)


def score_model(model: ModelFile, test: Sequence[FreeRhythmScore]) -> PitchScore:
    """The score of a model file on the same notes.

    A note is three tokens, of which the pitch is scored, with its probability among all tokens.

    Raises:
        UsageError: the model is for another kind of music.
        BachboxError: the runtime refuses the model.
    """
    codec = model.codec
    if not isinstance(codec, FreeRhythmCodec):
        raise UsageError(f"{model.path}: the model is for another kind of music")
    stepper = StepModel(model)
    nll, right, notes = 0.0, 0, 0
    for score in tqdm(test, model.name, leave=False):
        features, tokens = codec.encode(score)
        stepper.reset()
        for place, (active, token) in enumerate(zip(features, tokens, strict=True)):
            logits = stepper.step(active).astype(np.float64)
            note, part = divmod(place, codec.tokens_per_group)
            if part != PITCH or note < WINDOW_NOTES:
                continue
            peak = logits.max()
            nll += float(peak + np.log(np.exp(logits - peak).sum()) - logits[token])
            right += int(logits.argmax() == token)
            notes += 1
    return PitchScore(nll / notes, right / notes)


def main() -> int:
    """Print the three scores; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, prog="python -m appliance.training.evaluate.window_baseline"
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the scores")
    parser.add_argument(
        "--minutes", type=float, default=4 / 3, help="processor time of the tutorial network"
    )
    parser.add_argument("--model", type=Path, default=Path("models/strings.tflite"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument(
        "--build", type=Path, default=Path("build"), help="folder for intermediate files"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    budget_s = options.minutes * 60
    try:
        import torch

        torch.set_num_threads(options.threads)
        model = model_file.load(options.model)
        scores = corpus.load_corpus(recipe.load(RECIPE), options.data, options.build)
        train, valid, test = corpus.training_scores(scores), scores["valid"], scores["test"]
        lstm_score = score_window_lstm(train, test, budget_s)
        n, ngram_score = score_ngram(train, valid, test)
        model_score = score_model(model, test)
    except BachboxError as error:
        print(f"bachbox: {error}", file=sys.stderr)
        return error.exit_code
    print(f"the next pitch, for {len(make_windows(test)[1])} notes of held-out pieces")
    for name, score in (
        (f"{model.name}, int8", model_score),
        (f"LSTM 2 x {HIDDEN} over {WINDOW_NOTES} notes, {budget_s:.0f} s", lstm_score),
        (f"{n}-gram", ngram_score),
    ):
        print(f"{score.nll:.3f} nats per note, {100 * score.accuracy:.1f} % right: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
