"""The tables of the classifier two-sample test. The classifiers: tests/acceptance/two_sample.py."""

from __future__ import annotations

import numpy as np
import pytest

from appliance.training.evaluate.pages import with_shuffled_bars
from appliance.training.evaluate.two_sample import rows_of, sample, two_sample_test
from tests.support.wandering_pages import wandering_page
from tests.support.wandering_pages import wandering_rows as rows


def test_every_piece_weighs_the_same() -> None:
    short, long = wandering_page(1), wandering_page(2)
    data = sample([rows_of(short)[:1], rows_of(long)], [rows_of(wandering_page(3))])

    weight = [data.weights[data.pieces == piece].sum() for piece in range(3)]
    assert weight[0] == pytest.approx(weight[1])
    assert weight[2] == pytest.approx(weight[0] + weight[1])


def test_too_few_pieces_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 5 pieces"):
        two_sample_test(rows(range(4)), rows(range(4, 12)))


def test_a_whole_piece_is_one_row_with_features_of_form() -> None:
    page = with_shuffled_bars(wandering_page(1), np.random.default_rng(1))

    (row,) = rows_of(page, whole=True)
    assert row["form: bars"] == 16
    assert len(rows_of(page)) == 2
