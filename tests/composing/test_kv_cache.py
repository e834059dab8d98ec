"""The KV cache: a window shows the rows it was made with, whatever is appended later."""

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
def test_every_window_keeps_showing_the_last_rows_of_its_own_past(
    length: int, steps: list[tuple[int, int]]
) -> None:
    """Each step continues from any earlier window, as the composer does after a rewind."""
    windows = [KVCache.of(np.zeros((length, 2), np.int8))]
    pasts: list[list[int]] = [[0] * length]
    for back, value in steps:
        at = max(0, len(windows) - 1 - back)
        windows.append(windows[at].append(np.array([value, 0], np.int8)))
        pasts.append([*pasts[at], value])
    for window, past in zip(windows, pasts, strict=True):
        assert shown(window) == past[-length:]
        assert window.rows.flags.c_contiguous


def test_appending_in_sequence_copies_once_per_length() -> None:
    window = KVCache.of(np.zeros((10, 2), np.int8))
    buffers = [window.buffer]
    for value in range(100):
        window = window.append(row(value))
        if window.buffer is not buffers[-1]:
            buffers.append(window.buffer)
    assert shown(window) == list(range(90, 100))
    assert len(buffers) == 10


def test_an_earlier_window_is_unchanged() -> None:
    window = KVCache.of(np.zeros((4, 2), np.int8))
    for value in (1, 2, 3):
        window = window.append(row(value))
    one, other = window.append(row(7)), window.append(row(8)).append(row(9))
    assert (shown(one), shown(other)) == ([1, 2, 3, 7], [2, 3, 8, 9])
    assert shown(window) == [0, 1, 2, 3]
