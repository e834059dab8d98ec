"""The layout of a codec's input: every index once, in the order of the parts."""

from __future__ import annotations

import pytest

from appliance.music.codecs.input_layout import Inputs


def test_parts_lie_one_after_another() -> None:
    inputs = Inputs(("key", 24), ("past", 3, 5), ("none", 0), ("end", 2))
    assert inputs["key", 0] == 0
    assert inputs["key", 23] == 23
    assert inputs["past", 0, 0] == 24
    assert inputs["past", 2, 4] == 24 + 14
    assert inputs["end", True] == 24 + 15 + 1
    assert inputs.indices("past") == range(24, 39)
    assert inputs.width == 24 + 15 + 2


def test_all_indices_are_below_the_width() -> None:
    inputs = Inputs(("a", 4), ("b", 2, 3))
    assert {*inputs.values()} == {*range(inputs.width)}


def test_a_part_that_is_not_there_raises_key_error() -> None:
    with pytest.raises(KeyError):
        Inputs(("a", 4))["b", 0]
