"""The naive way beside ours: ``python -m appliance.training.evaluate.window_baseline --data FOLDER``.

What one finds when looking for a program that plays like Bach: two LSTM layers of 300 over a
window of the last 40 pitches, computed anew for every note. It learns here from the same
pieces as ``strings``, and foretells the next pitch in the same held-out pieces, beside an
n-gram of pitches and the shipped model. Ours knows when the note begins, which is the token
before its pitch; the others know no rhythm at all.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from appliance.composing import model_file as bundle
from appliance.composing.interpreter import StepModel
from appliance.composing.model_file import Bundle
from appliance.errors import BachboxError, UsageError
from appliance.music.codecs.free_rhythm import PITCH, FreeRhythmCodec
from appliance.music.score import FreeRhythmScore
from appliance.training import recipe
from appliance.training.budget import Budget
from appliance.training.data import corpus
from appliance.training.evaluate.ngram import LENGTHS, NGram

log = logging.getLogger(__name__)

WINDOW_NOTES = 40
UNITS = 300
PITCHES = 128
BATCH = 32
LEARNING_RATE = 3e-3
"""Of 1e-3 (which Keras has where nothing is said) and this, the one that lowers the loss faster."""
MEASURED_AT_ONCE = 512
SHIFTS = range(-5, 7)

Pitches = NDArray[np.int64]


class Figure(NamedTuple):
    """How well the next pitch is foretold."""

    nats: float
    right: float
    """The share of notes for which the likeliest pitch was the true one."""


def pitches_of(score: FreeRhythmScore) -> list[int]:
    """The notes of a piece, without their time."""
    return [note.pitch for note in score.notes]


def windows(scores: Sequence[FreeRhythmScore]) -> tuple[Pitches, Pitches]:
    """Every run of ``WINDOW_NOTES`` pitches within a piece, and the pitch after each.

    Returns:
        ``(windows, WINDOW_NOTES)`` and ``(windows,)``.
    """
    before: list[list[int]] = []
    after: list[int] = []
    for score in scores:
        pitches = pitches_of(score)
        for at in range(WINDOW_NOTES, len(pitches)):
            before.append(pitches[at - WINDOW_NOTES : at])
            after.append(pitches[at])
    return np.array(before, np.int64).reshape(-1, WINDOW_NOTES), np.array(after, np.int64)


def windowed(
    train: Sequence[FreeRhythmScore], test: Sequence[FreeRhythmScore], seconds: float, seed: int = 1
) -> Figure:
    """Train the naive network for so much processor time, and measure it.

    As it is done there, in the keys that the pieces have.
    """
    import torch
    from torch import nn

    class WindowNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(PITCHES, UNITS, num_layers=2, batch_first=True)
            self.out = nn.Linear(UNITS, PITCHES)

        def forward(self, window: torch.Tensor) -> torch.Tensor:
            hidden, _ = self.lstm(nn.functional.one_hot(window, PITCHES).float())
            return self.out(hidden[:, -1])

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = WindowNetwork()
    optimizer = torch.optim.Adam(network.parameters())
    before, after = windows(train)
    budget = Budget(seconds)
    updates = 0
    while budget.share < 1 or not updates:
        with budget.spend():
            chosen = rng.integers(len(after), size=BATCH)
            seen, told = before[chosen], after[chosen]
            for group in optimizer.param_groups:
                group["lr"] = budget.rate(LEARNING_RATE)
            # In bfloat16 there are a third more updates, and they gain less.
            loss = nn.functional.cross_entropy(network(torch.tensor(seen)), torch.tensor(told))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            updates += 1
    log.info("the naive network: %d updates, %.1f passes", updates, updates * BATCH / len(after))
    before, after = windows(test)
    nats, right = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(after), MEASURED_AT_ONCE):
            logits = network(torch.tensor(before[at : at + MEASURED_AT_ONCE]))
            true = torch.tensor(after[at : at + MEASURED_AT_ONCE])
            nats += nn.functional.cross_entropy(logits, true, reduction="sum").item()
            right += int((logits.argmax(1) == true).sum())
    return Figure(nats / len(after), right / len(after))


def counted(
    train: Sequence[FreeRhythmScore],
    valid: Sequence[FreeRhythmScore],
    test: Sequence[FreeRhythmScore],
) -> tuple[int, Figure]:
    """The n and the figure of the n-gram of pitches that does best on the valid pieces."""
    known = [[p + shift for p in pitches_of(score)] for score in train for shift in SHIFTS]
    known = [pitches for pitches in known if min(pitches) >= 0 and max(pitches) < PITCHES]
    models = []
    for longest in LENGTHS:
        model = NGram(PITCHES, 1, longest)
        model.learn(known)
        models.append((sum(model.nats(pitches_of(score)) for score in valid), longest, model))
    _, longest, best = min(models, key=lambda entry: entry[0])
    nats, right, notes = 0.0, 0, 0
    for score in test:
        pitches = pitches_of(score)
        for at in range(WINDOW_NOTES, len(pitches)):
            shares = best.shares(pitches, at)
            nats -= float(np.log(shares[pitches[at]]))
            right += int(shares.argmax() == pitches[at])
            notes += 1
    return longest + 1, Figure(nats / notes, right / notes)


def carried(model_file: Bundle, test: Sequence[FreeRhythmScore]) -> Figure:
    """The figure of a model of ours, on the same notes.

    Of the three tokens of a note its pitch's likelihood counts, among all tokens.
    """
    codec = model_file.codec
    if not isinstance(codec, FreeRhythmCodec):
        raise UsageError(f"{model_file.path}: a model of another kind of music")
    model = StepModel(model_file)
    nats, right, notes = 0.0, 0, 0
    for score in tqdm(test, model_file.name, leave=False):
        features, tokens = codec.encode(score)
        model.reset()
        for place, (active, token) in enumerate(zip(features, tokens, strict=True)):
            logits = model.step(active).astype(np.float64)
            note, of_it = divmod(place, codec.cycle)
            if of_it != PITCH or note < WINDOW_NOTES:
                continue
            peak = logits.max()
            nats += float(peak + np.log(np.exp(logits - peak).sum()) - logits[token])
            right += int(logits.argmax() == token)
            notes += 1
    return Figure(nats / notes, right / notes)


def main() -> int:
    """Print the three figures; 0 when they are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, prog="python -m appliance.training.evaluate.window_baseline"
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with cello and violin")
    parser.add_argument("--minutes", type=float, default=4 / 3, help="of processor, to learn in")
    parser.add_argument("--model", type=Path, default=Path("models/strings.tflite"))
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where to work")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        import torch

        torch.set_num_threads(asked.threads)
        model = bundle.load(asked.model)
        made = recipe.load(Path("models/strings.toml"))
        scores = corpus.lines(asked.data, made.corpus, asked.build / "corpus" / "strings.json")
        learned = corpus.learned(scores)
        naive = windowed(learned, scores["test"], asked.minutes * 60)
        n, grams = counted(learned, scores["valid"], scores["test"])
        ours = carried(model, scores["test"])
    except BachboxError as why:
        print(f"bachbox: {why}", file=sys.stderr)
        return why.exit_code
    print(f"the next pitch, {len(windows(scores['test'])[1])} notes of held-out pieces")
    for what, figure in (
        (f"{model.name}, int8", ours),
        (f"LSTM 2 x {UNITS} over {WINDOW_NOTES} notes, {asked.minutes * 60:.0f} s", naive),
        (f"{n}-gram", grams),
    ):
        print(f"{figure.nats:.3f} nats, {100 * figure.right:.1f} % right: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
