"""Five temperaments, against the tables in the literature."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.music.temperament import KEYS, NAMES, key_cents, octave_cents

PURE_THIRD = 1200 * math.log2(5 / 4)
PURE_FIFTH = 1200 * math.log2(3 / 2)

BARBOUR = {
    "equal": (0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100),
    "werckmeister3": (0, 90, 192, 294, 390, 498, 588, 696, 792, 888, 996, 1092),
    "kirnberger3": (0, 90, 193, 294, 386, 498, 590, 697, 792, 890, 996, 1088),
    "vallotti": (0, 94, 196, 298, 392, 502, 592, 698, 796, 894, 1000, 1090),
    "meantone": (0, 76, 193, 310, 386, 503, 579, 697, 773, 890, 1007, 1083),
}
"""In whole cents, C to B."""


@pytest.mark.parametrize("name", NAMES)
def test_octave_cents_agree_with_the_tables(name: str) -> None:
    assert tuple(round(cents) for cents in octave_cents(name)) == BARBOUR[name]


def fifth(name: str, low: int) -> float:
    cents = octave_cents(name)
    return (cents[(low + 7) % 12] - cents[low]) % 1200


def third(name: str, low: int) -> float:
    cents = octave_cents(name)
    return (cents[(low + 4) % 12] - cents[low]) % 1200


def pure(size: float, wanted: float) -> bool:
    return abs(size - wanted) < 1e-6


def test_each_temperament_has_its_number_of_pure_fifths_and_thirds() -> None:
    def count(name: str) -> tuple[int, int]:
        fifths = sum(pure(fifth(name, low), PURE_FIFTH) for low in range(12))
        return fifths, sum(pure(third(name, low), PURE_THIRD) for low in range(12))

    assert {name: count(name) for name in NAMES} == {
        "equal": (0, 0),
        "werckmeister3": (8, 0),
        "kirnberger3": (7, 1),
        "vallotti": (6, 0),
        "meantone": (0, 8),
    }
    # The wolf howls between g sharp and e flat.
    assert fifth("meantone", 8) - PURE_FIFTH > 35


@given(st.sampled_from(NAMES), st.floats(392, 466))
def test_key_cents_put_a_at_concert_pitch_and_octaves_are_pure(name: str, a_hz: float) -> None:
    cents = key_cents(name, a_hz)
    assert len(cents) == KEYS
    assert 440 * 2 ** ((cents[69] - 6900) / 1200) == pytest.approx(a_hz)
    for low, high in zip(cents, cents[12:], strict=False):
        assert high - low == pytest.approx(1200)
    assert list(cents) == sorted(cents)
