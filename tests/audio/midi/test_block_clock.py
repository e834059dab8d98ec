"""Blocks begin where their sound does, however late they are rendered."""

from __future__ import annotations

import random

import pytest

from appliance.audio.midi.block_clock import BlockClock

BLOCK_S = 1024 / 48_000


def test_calls_that_are_late_do_not_move_the_blocks() -> None:
    dice, clock = random.Random(1), BlockClock()
    begins = []
    for number in range(1000):
        late_s = dice.uniform(0, 0.015) if number % 5 else 0.0
        begins.append(clock.begin(number * BLOCK_S + late_s, BLOCK_S) - number * BLOCK_S)
    assert max(begins) < 0.0005
    assert min(begins) >= 0


@pytest.mark.parametrize("drift", [-200e-6, 200e-6])
def test_a_card_that_is_slow_or_fast_is_followed(drift: float) -> None:
    clock = BlockClock()
    for number in range(100_000):
        now_s = number * BLOCK_S * (1 + drift)
        began_s = clock.begin(now_s, BLOCK_S)
    assert began_s == pytest.approx(now_s, abs=0.001)


def test_after_a_long_gap_it_begins_anew() -> None:
    clock = BlockClock()
    clock.begin(0.0, BLOCK_S)
    assert clock.begin(60.0, BLOCK_S) == 60.0
