"""What is compared with our models is asked the same notes, and gets the same time."""

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
from tests.support.scores import folder


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> list[FreeRhythmScore]:
    path = folder(tmp_path_factory.mktemp("scores"), 4)
    return free_rhythm_corpus.read(sorted(path.iterdir()), path.parent / "scores.json")[0]


def test_a_window_is_the_notes_before_within_the_piece(scores: list[FreeRhythmScore]) -> None:
    before, after = window_baseline.windows(scores[:2])
    pitches = window_baseline.pitches_of(scores[0])
    each = len(pitches) - window_baseline.WINDOW_NOTES
    assert before.shape == (2 * each, window_baseline.WINDOW_NOTES)
    assert before[0].tolist() == pitches[: window_baseline.WINDOW_NOTES]
    assert after[:each].tolist() == pitches[window_baseline.WINDOW_NOTES :]
    assert (
        before[each].tolist()
        == window_baseline.pitches_of(scores[1])[: window_baseline.WINDOW_NOTES]
    )
    short = FreeRhythmScore("short", scores[0].notes[:20], scores[0].key, scores[0].form)
    assert window_baseline.windows([short])[0].shape == (0, window_baseline.WINDOW_NOTES)


def test_counting_foretells_what_it_has_counted(scores: list[FreeRhythmScore]) -> None:
    n, seen = window_baseline.counted(scores, scores, scores)
    _, unseen = window_baseline.counted(scores[:3], scores[3:], scores[3:])
    assert n > 4
    assert seen.nats < unseen.nats < math.log(window_baseline.PITCHES)
    assert seen.right > 0.9 > unseen.right


def test_all_shares_are_the_shares(scores: list[FreeRhythmScore]) -> None:
    model, pitches = NGram(window_baseline.PITCHES, 1, 4), window_baseline.pitches_of(scores[0])
    model.learn([pitches])
    for at in (0, 1, 50):
        shares = model.shares(pitches, at)
        assert shares.sum() == pytest.approx(1)
        for pitch in (0, 60, 64, pitches[at]):
            assert shares[pitch] == pytest.approx(model.share(pitches, at, pitch))


def test_ours_is_asked_for_the_same_pitches(
    scores: list[FreeRhythmScore], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = free_rhythm_corpus.codec_for(scores)
    tokens = [token for score in scores for token in codec.encode(score)[1]]

    class Knows:
        """Foretells every token of the scores, but for one note in four not the likeliest."""

        def __init__(self, model: Any) -> None:
            self.at = 0

        def reset(self) -> None:
            pass

        def step(self, active: list[int]) -> Any:
            logits = np.zeros(len(codec.vocabulary), np.float32)
            logits[tokens[self.at]] = 50
            if self.at % 12 == 1:
                logits[codec.end] = 51
            self.at += 1
            return logits

    monkeypatch.setattr(window_baseline, "StepModel", Knows)
    model: Any = SimpleNamespace(codec=codec, name="strings", path=Path("strings.tflite"))
    # Every piece has its end beside its notes, so the fours go through the pieces.
    found = window_baseline.carried(model, scores[:1])
    assert found.right == pytest.approx(0.75, abs=0.02)
    assert found.nats == pytest.approx(math.log(1 + math.e) / 4, abs=0.02)


def test_a_model_of_another_kind_is_refused() -> None:
    model: Any = SimpleNamespace(
        codec=FourPartCodec(onsets=True, form=True), path=Path("chorales.tflite")
    )
    with pytest.raises(UsageError, match="another kind of music"):
        window_baseline.carried(model, [])


def test_only_processor_time_is_spent() -> None:
    budget = CpuBudget(0.05)
    rates = []
    with budget.spend():
        time.sleep(0.2)
    assert budget.share < 0.9
    sum(range(10_000_000))
    assert budget.share < 0.9, "what is done without does not count"
    while budget.share < 1:
        rates.append(budget.rate(1.0))
        with budget.spend():
            sum(range(20_000))
    rates.append(budget.rate(1.0))
    assert rates[-1] == pytest.approx(0.02, abs=0.01)
    falling = rates[len(rates) // 4 :]
    assert all(a >= b for a, b in pairwise(falling))
