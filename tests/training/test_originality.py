"""The longest runs of notes that pieces have in common."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.events import TICKS_PER_BEAT
from appliance.training.evaluate.originality import SharedRuns
from tests.support.finished_pieces import line


def test_the_longest_shared_run_is_found_in_any_key() -> None:
    known = SharedRuns([line(60, 62, 64, 65, 67), line(72, 71, 69)])
    assert known.longest(line(67, 69, 71, 72, 74)) == 5
    assert known.longest(line(50, 62, 64, 66, 67, 50)) == 4
    assert known.longest(line(60, 70, 50)) == 0
    assert known.longest(line(60)) == 0
    # The end of one piece and the beginning of the next are no run.
    assert known.longest(line(65, 67, 72, 71)) == 2


def test_hashes_do_not_collide() -> None:
    rng = np.random.default_rng(1)
    known = SharedRuns([line(*rng.integers(40, 80, 300).tolist()) for _ in range(100)])
    runs = [known.longest(line(*rng.integers(40, 80, 300).tolist())) for _ in range(100)]
    assert max(runs) < 10


def test_a_run_in_another_rhythm_is_another_run() -> None:
    known = SharedRuns([line(60, 62, 64, 65)])
    assert known.longest(line(60, 62, 64, 65, length=TICKS_PER_BEAT // 2)) == 0
    held = [note._replace(length=100) for note in line(60, 62, 64, 65)]
    assert known.longest(held) == 4


@given(
    st.lists(st.lists(st.integers(60, 64), max_size=12), max_size=4),
    st.lists(st.integers(60, 64), max_size=12),
)
def test_the_shared_run_is_the_longest_one(corpus: list[list[int]], piece: list[int]) -> None:
    def steps(pitches: list[int]) -> list[int]:
        return list(np.diff(pitches))

    def within(part: list[int], whole: list[int]) -> bool:
        return any(whole[n : n + len(part)] == part for n in range(len(whole) - len(part) + 1))

    ours = steps(piece)
    runs = [
        length + 1
        for length in range(1, len(ours) + 1)
        for at in range(len(ours) - length + 1)
        if any(within(ours[at : at + length], steps(known)) for known in corpus)
    ]
    found = SharedRuns([line(*known) for known in corpus]).longest(line(*piece))
    assert found == max(runs, default=0)
