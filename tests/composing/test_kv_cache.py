"""A window on a model's last rows shows what was written, whatever is written later."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from appliance.composing.kv_cache import KVCache, Rows


def shown(window: KVCache) -> list[int]:
    return [int(row[0]) for row in window.rows]


def row(value: int) -> Rows:
    return np.array([value, -value], np.int8)


@given(
    length=st.integers(1, 5),
    steps=st.lists(st.tuples(st.integers(0, 30), st.integers(-128, 127)), max_size=40),
)
def test_every_window_goes_on_showing_the_last_rows_of_its_own_past(
    length: int, steps: list[tuple[int, int]]
) -> None:
    """Each step goes on from any window there has been, as composing anew does."""
    windows = [KVCache.of(np.zeros((length, 2), np.int8))]
    pasts: list[list[int]] = [[0] * length]
    for back, value in steps:
        at = max(0, len(windows) - 1 - back)
        windows.append(windows[at].after(np.array([value, 0], np.int8)))
        pasts.append([*pasts[at], value])
    for window, past in zip(windows, pasts, strict=True):
        assert shown(window) == past[-length:]
        assert window.rows.flags.c_contiguous


def test_going_straight_on_copies_once_in_a_length() -> None:
    window = KVCache.of(np.zeros((10, 2), np.int8))
    logs = [window.log]
    for value in range(100):
        window = window.after(row(value))
        if window.log is not logs[-1]:
            logs.append(window.log)
    assert shown(window) == list(range(90, 100))
    assert len(logs) == 10


def test_a_window_that_is_gone_back_to_is_as_it_was() -> None:
    window = KVCache.of(np.zeros((4, 2), np.int8))
    for value in (1, 2, 3):
        window = window.after(row(value))
    one, other = window.after(row(7)), window.after(row(8)).after(row(9))
    assert (shown(one), shown(other)) == ([1, 2, 3, 7], [2, 3, 8, 9])
    assert shown(window) == [0, 1, 2, 3]
