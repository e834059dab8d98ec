"""The baselines of the next-pitch comparison get the same notes and the same processor time."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from appliance.errors import UsageError
from appliance.music.codecs.four_part import FourPartCodec
from appliance.music.score import FreeRhythmScore
from appliance.training.cpu_budget import CpuBudget
from appliance.training.data import free_rhythm_corpus
from appliance.training.evaluate import window_baseline
from appliance.training.evaluate.ngram import NGram
from appliance.training.evaluate.window_baseline import PITCHES, WINDOW_NOTES, pitches_of
from tests.support.scores import folder


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> list[FreeRhythmScore]:
    path = folder(tmp_path_factory.mktemp("scores"), 4)
    return free_rhythm_corpus.read_files(sorted(path.iterdir()), path.parent / "scores.json")[0]


def test_a_window_is_the_notes_before_within_the_piece(scores: list[FreeRhythmScore]) -> None:
    windows, targets = window_baseline.make_windows(scores[:2])
    pitches = pitches_of(scores[0])
    per_piece = len(pitches) - WINDOW_NOTES
    assert windows.shape == (2 * per_piece, WINDOW_NOTES)
    assert windows[0].tolist() == pitches[:WINDOW_NOTES]
    assert targets[:per_piece].tolist() == pitches[WINDOW_NOTES:]
    assert windows[per_piece].tolist() == pitches_of(scores[1])[:WINDOW_NOTES]
    short = FreeRhythmScore("short", scores[0].notes[:20], scores[0].key, scores[0].form)
    assert window_baseline.make_windows([short])[0].shape == (0, WINDOW_NOTES)


def test_an_ngram_predicts_what_it_has_counted(scores: list[FreeRhythmScore]) -> None:
    n, seen = window_baseline.score_ngram(scores, scores, scores)
    _, unseen = window_baseline.score_ngram(scores[:3], scores[3:], scores[3:])
    assert n > 4
    assert seen.nll < unseen.nll < math.log(PITCHES)
    assert seen.accuracy > 0.9 > unseen.accuracy


def test_ngram_probabilities_agree_with_single_ones(scores: list[FreeRhythmScore]) -> None:
    model, pitches = NGram(PITCHES, 1, 4), pitches_of(scores[0])
    model.learn([pitches])
    for place in (0, 1, 50):
        probabilities = model.probabilities(pitches, place)
        assert probabilities.sum() == pytest.approx(1)
        for pitch in (0, 60, 64, pitches[place]):
            expected = model.probability(pitches, place, pitch)
            assert probabilities[pitch] == pytest.approx(expected)


def test_the_model_is_scored_on_the_same_pitches(
    scores: list[FreeRhythmScore], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = free_rhythm_corpus.codec_for(scores)
    tokens = [token for score in scores for token in codec.encode(score)[1]]

    class AlmostPerfectModel:
        """Predicts every token of the scores, but ranks one note in four second."""

        def __init__(self, model: Any) -> None:
            self.place = 0

        def reset(self) -> None:
            pass

        def step(self, active: list[int]) -> Any:
            logits = np.zeros(len(codec.vocabulary), np.float32)
            logits[tokens[self.place]] = 50
            if self.place % 12 == 1:
                logits[codec.end] = 51
            self.place += 1
            return logits

    monkeypatch.setattr(window_baseline, "StepModel", AlmostPerfectModel)
    model: Any = SimpleNamespace(codec=codec, name="strings", path=Path("strings.tflite"))
    # Every piece has an end token beside its notes, so the fours run on across pieces.
    score = window_baseline.score_model(model, scores[:1])
    assert score.accuracy == pytest.approx(0.75, abs=0.02)
    assert score.nll == pytest.approx(math.log(1 + math.e) / 4, abs=0.02)


def test_a_model_of_another_kind_is_refused() -> None:
    model: Any = SimpleNamespace(
        codec=FourPartCodec(onsets=True, form=True), path=Path("chorales.tflite")
    )
    with pytest.raises(UsageError, match="another kind of music"):
        window_baseline.score_model(model, [])


def test_a_cpu_budget_counts_processor_time_only() -> None:
    budget = CpuBudget(0.05)
    rates = []
    with budget.spend():
        time.sleep(0.2)
    assert budget.spent_share < 0.9
    sum(range(10_000_000))
    assert budget.spent_share < 0.9, "work outside of spend() costs nothing"
    while budget.spent_share < 1:
        rates.append(budget.learning_rate(1.0))
        with budget.spend():
            sum(range(20_000))
    rates.append(budget.learning_rate(1.0))
    assert rates[-1] == pytest.approx(0.02, abs=0.01)
    falling = rates[len(rates) // 4 :]
    assert all(a >= b for a, b in pairwise(falling))
