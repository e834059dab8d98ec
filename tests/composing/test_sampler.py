"""The sampler: the same number gives the same class, and forbidden classes never come."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from appliance.composing import sampler
from appliance.errors import UsageError

CLASSES = 12
logit_lists = st.lists(st.floats(-60, 60, width=32), min_size=CLASSES, max_size=CLASSES).map(
    lambda values: np.array(values, np.float32)
)
uniforms = st.floats(0, 1, exclude_max=True)
temperatures = st.floats(0.05, 40)
shares = st.floats(0.05, 1)
forbidden_sets = st.sets(st.integers(0, CLASSES - 1), max_size=CLASSES - 1).map(sorted)

Logits = NDArray[np.float32]


@given(logit_lists, temperatures, shares, uniforms, forbidden_sets)
def test_the_same_number_gives_the_same_allowed_class(
    logits: Logits, temperature: float, top_p: float, uniform: float, forbidden: list[int]
) -> None:
    before = logits.copy()

    def draw() -> int:
        return sampler.sample(
            logits, temperature=temperature, top_p=top_p, uniform=uniform, forbidden=forbidden
        )

    drawn = draw()
    assert 0 <= drawn < CLASSES
    assert drawn not in forbidden
    assert draw() == drawn
    assert np.array_equal(logits, before)


@given(logit_lists, shares, uniforms)
def test_at_the_lowest_temperature_the_likeliest_class_wins(
    logits: Logits, top_p: float, uniform: float
) -> None:
    drawn = sampler.sample(logits, temperature=1e-6, top_p=top_p, uniform=uniform, forbidden=[])
    assert logits[drawn] >= logits.max() - 1e-3


@given(logit_lists, temperatures, uniforms)
def test_the_smallest_top_p_leaves_the_likeliest_class(
    logits: Logits, temperature: float, uniform: float
) -> None:
    drawn = sampler.sample(
        logits, temperature=temperature, top_p=1e-9, uniform=uniform, forbidden=[]
    )
    assert logits[drawn] == logits.max()


@given(logit_lists, temperatures, forbidden_sets)
def test_the_largest_random_number_gives_no_forbidden_class(
    logits: Logits, temperature: float, forbidden: list[int]
) -> None:
    last = math.nextafter(1.0, 0.0)
    drawn = sampler.sample(
        logits, temperature=temperature, top_p=1.0, uniform=last, forbidden=forbidden
    )
    assert drawn not in forbidden


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("top_p", [0.5, 0.9, 1.0])
def test_classes_are_drawn_with_their_probabilities(temperature: float, top_p: float) -> None:
    logits = np.array([2.0, -1.0, 1.5, 0.0, 3.0, 2.9], np.float32)
    forbidden = [4]
    draws = 4_000
    counted = Counter(
        sampler.sample(
            logits,
            temperature=temperature,
            top_p=top_p,
            uniform=(n + 0.5) / draws,
            forbidden=forbidden,
        )
        for n in range(draws)
    )
    likely = np.exp(logits.astype(float) / temperature)
    likely[forbidden] = 0
    likely /= likely.sum()
    order = np.argsort(-likely)
    kept = [int(c) for at, c in enumerate(order) if likely[order[:at]].sum() < top_p]
    kept = [c for c in kept if likely[c]]
    for one in kept:
        assert counted[one] / draws == pytest.approx(likely[one] / likely[kept].sum(), abs=1e-3)
    assert set(counted) == set(kept)


def drawn_from_equals(classes: int, top_p: float, uniform: float) -> int:
    equal = np.zeros(classes, np.float32)
    return sampler.sample(equal, temperature=1.0, top_p=top_p, uniform=uniform, forbidden=[])


def test_equally_likely_classes_keep_their_order() -> None:
    """Or the same seed would be other music on another machine, whose sort is another one."""
    drawn = [drawn_from_equals(300, 1.0, (n + 0.5) / 300) for n in range(300)]
    assert drawn == list(range(300))


def test_a_class_owns_the_random_numbers_from_where_the_one_before_it_ends() -> None:
    assert [drawn_from_equals(4, 1.0, n / 4) for n in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(("top_p", "kept"), [(0.25, 1), (0.3, 2), (0.5, 2), (0.6, 3), (0.8, 4)])
def test_top_p_keeps_the_class_that_reaches_it_and_none_more(top_p: float, kept: int) -> None:
    drawn = {drawn_from_equals(4, top_p, (n + 0.5) / 100) for n in range(100)}
    assert drawn == set(range(kept))


@pytest.mark.parametrize("base", [-3e4, 0, 3e4])
def test_only_differences_of_logits_count_however_large_they_are(base: float) -> None:
    logits = np.array([base, base + 1, base + 2], np.float32)
    drawn = [
        sampler.sample(logits, temperature=1.0, top_p=1.0, uniform=uniform, forbidden=[])
        for uniform in (0.5, 0.8, 0.95)
    ]
    assert drawn == [2, 1, 0]


@pytest.mark.parametrize("temperature", [0, 0.09, 3.1, -1, math.nan, math.inf])
def test_a_temperature_out_of_range_is_refused(temperature: float) -> None:
    with pytest.raises(UsageError, match=r"temperature .* out of range; allowed: 0\.1 to 3"):
        sampler.check(temperature, 1.0)


@pytest.mark.parametrize("top_p", [0, 0.04, 1.01, math.nan])
def test_a_top_p_out_of_range_is_refused(top_p: float) -> None:
    with pytest.raises(UsageError, match=r"top-p .* out of range; allowed: 0\.05 to 1"):
        sampler.check(1.0, top_p)


def test_the_limits_are_allowed() -> None:
    sampler.check(0.1, 0.05)
    sampler.check(3.0, 1.0)


@given(logit_lists, temperatures, shares, uniforms, forbidden_sets)
def test_what_is_planned_is_preferred_and_never_forced(
    logits: Logits, temperature: float, top_p: float, uniform: float, forbidden: list[int]
) -> None:
    """A planned class that is forbidden does not come, nor does another planned one suffer."""

    def draw(planned: list[int]) -> int:
        return sampler.sample(
            logits,
            temperature=temperature,
            top_p=top_p,
            uniform=uniform,
            forbidden=forbidden,
            planned=planned,
        )

    assert draw(forbidden) == draw([])
    assert draw([*range(CLASSES)]) not in forbidden
    even = np.zeros(CLASSES, np.float32)
    drawn = sampler.sample(
        even, temperature=temperature, top_p=0.9, uniform=uniform, forbidden=[], planned=[5]
    )
    assert drawn == 5


@given(logit_lists, temperatures, uniforms, st.integers(0, CLASSES - 1))
def test_a_correction_counts_the_same_at_every_temperature(
    logits: Logits, temperature: float, uniform: float, wanted: int
) -> None:
    correction = np.zeros(CLASSES)
    correction[wanted] = 120 / temperature + 100
    drawn = sampler.sample(
        logits,
        temperature=temperature,
        top_p=1,
        uniform=uniform,
        forbidden=[],
        correction=correction,
    )
    assert drawn == wanted


@given(logit_lists, st.lists(st.floats(-5, 5), min_size=CLASSES, max_size=CLASSES), uniforms)
def test_at_temperature_1_a_correction_is_part_of_the_logits(
    logits: Logits, values: list[float], uniform: float
) -> None:
    def draw(logits: Logits, correction: list[float]) -> int:
        return sampler.sample(
            logits,
            temperature=1,
            top_p=1,
            uniform=uniform,
            forbidden=[],
            correction=np.array(correction),
        )

    single = np.array(values, np.float32).astype(float)
    sum_of_both = logits.astype(np.float64) + single
    assert draw(logits, [*single]) == draw(sum_of_both, [0.0] * CLASSES)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_what_is_planned_is_preferred_by_its_bonus_at_every_temperature(
    temperature: float,
) -> None:
    """By 8, or e to the 8th: a class that is likelier than that is drawn all the same."""
    for ahead, drawn in ((7.9, 1), (8.1, 0)):
        logits = np.array([(3 + ahead) * temperature, 3 * temperature], np.float32)
        found = sampler.sample(
            logits, temperature=temperature, top_p=1.0, uniform=0.0, forbidden=[], planned=[1]
        )
        assert found == drawn
