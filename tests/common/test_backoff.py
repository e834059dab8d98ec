from __future__ import annotations

from appliance.common.backoff import Backoff


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(1, 5)
    assert [backoff.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]


def test_first_try_at_once() -> None:
    backoff = Backoff(0.25, 1, first_at_once=True)
    assert [backoff.next_s() for _ in range(5)] == [0, 0.25, 0.5, 1, 1]


def test_a_try_that_worked_for_long_resets_it() -> None:
    backoff = Backoff(1, 60, reset_after_s=30)
    assert [backoff.next_s(), backoff.next_s(30)] == [1, 2]
    assert backoff.next_s(30.1) == 1


def test_reset() -> None:
    backoff = Backoff(1, 60)
    backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 1
