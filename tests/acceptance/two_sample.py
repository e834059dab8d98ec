"""The classifier two-sample test, on music whose answer is known.

`make test-training` runs this in the training environment (the extra `train`).
"""

from __future__ import annotations

from appliance.training.evaluate.two_sample import linear_auc, two_sample_test
from tests.support.wandering_pages import wandering_rows as rows


def test_music_of_one_kind_cannot_be_told_apart() -> None:
    verdict = two_sample_test(rows(range(12)), rows(range(12, 24)))

    assert verdict.boosted.low < 0.5 < verdict.boosted.high
    assert verdict.real_pieces == verdict.composed_pieces == 12


def test_music_of_two_kinds_is_told_by_what_distinguishes_it() -> None:
    verdict = two_sample_test(rows(range(12)), rows(range(12, 24), leap=5), judged=range(4))

    assert min(verdict.boosted.value, verdict.linear.value, verdict.boosted_judged.value) > 0.95
    assert any("mean size of a move" in one.name for one in verdict.telling[:8])
    assert linear_auc(rows(range(12)), rows(range(12, 24), leap=5)) == verdict.linear.value


def test_the_judged_pieces_alone_decide_their_figure() -> None:
    # Half of the real pieces are of the kind that is composed.
    real = [*rows(range(6), leap=5), *rows(range(6, 12))]
    verdict = two_sample_test(real, rows(range(12, 24), leap=5), judged=range(6))

    assert verdict.boosted_judged.value < verdict.boosted.value
